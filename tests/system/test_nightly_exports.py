"""Three nights of exports on a real Airflow: one of them fails, somebody is told, and it is repaired."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
import requests

from tests.system.places import XCOMS, places_of
from tests.system.real_stream import PATIENCE, RealStream, text_of

pytestmark = pytest.mark.system

EXPORT, REPORT = "nightly_channel_export", "nightly_channel_report"
EXPORT_TASKS = ["find_channels", "export_channels", "wait_for_exports", "store_exports"]
DAY = timedelta(days=1)
FIRST = datetime.now(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0) - 10 * DAY
NIGHTS = [FIRST, FIRST + DAY, FIRST + 2 * DAY]
UNLUCKY = "messaging:unlucky-night"

Contents = dict[str, tuple[int, str]]


@dataclass
class Story:
    """
    What was seen, and when.

    :param run_ids: night -> run.
    :param states: night -> how its run ended at first.
    :param stored: file -> time of change and checksum, before the repair.
    :param repaired: the same after it.
    :param reports: runs of the report, before the repair.
    :param more_reports: those that came with it.
    """

    run_ids: dict[datetime, str]
    states: dict[datetime, str]
    stored: Contents
    repaired: Contents
    reports: list[str]
    more_reports: list[str]


@pytest.fixture(scope="module")
def story(real: RealStream) -> Story:
    """Let the three nights pass, and repair the second one."""
    airflow, control = real.airflow, real.sandbox.control
    for number in range(26):
        add_channel(real, f"messaging:busy-{number}", FIRST - 30 * DAY, NIGHTS[2] + DAY / 2)
    add_channel(real, UNLUCKY, NIGHTS[1] + DAY / 8, NIGHTS[1] + DAY / 2)
    airflow.unpause(REPORT)
    run_ids = {night: airflow.trigger(EXPORT, logical_date=night + DAY) for night in NIGHTS}
    states = {
        night: airflow.wait_for_run(EXPORT, run_id, timeout=PATIENCE) for night, run_id in run_ids.items()
    }
    reports = wait_for_reports(real, 2)
    stored = contents(real)

    control.fate(operation="ExportChannels", item=UNLUCKY)  # the fault is gone
    airflow.clear(EXPORT, run_ids[NIGHTS[1]], EXPORT_TASKS)
    airflow.wait_for_run(EXPORT, run_ids[NIGHTS[1]], timeout=PATIENCE)
    all_reports = wait_for_reports(real, 3)
    more_reports = [run_id for run_id in all_reports if run_id not in reports]
    return Story(run_ids, states, stored, contents(real), reports, more_reports)


def add_channel(real: RealStream, cid: str, created: datetime, last_message: datetime) -> None:
    times = {"created_at": created.timestamp(), "last_message_at": last_message.timestamp()}
    real.sandbox.control.add_channel(cid, **times)


def wait_for_reports(real: RealStream, count: int) -> list[str]:
    """Wait until so many runs of the report have ended, and return all there are."""
    deadline = time.monotonic() + PATIENCE
    while True:
        runs = real.airflow.runs(REPORT)
        if len(runs) >= count and all(run["state"] in ("success", "failed") for run in runs):
            return [run["dag_run_id"] for run in runs]
        assert time.monotonic() < deadline, f"{len(runs)} reports instead of {count}: {runs}"
        time.sleep(0.5)


def folder(real: RealStream) -> Path:
    return real.folder / "stream" / "channels"


def contents(real: RealStream) -> Contents:
    return {
        str(path.relative_to(folder(real))): (
            path.stat().st_mtime_ns,
            hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in sorted(folder(real).rglob("*"))
        if path.is_file()
    }


def of_night(files: Contents, night: datetime) -> Contents:
    return {name: about for name, about in files.items() if name.startswith(f"{night:%Y-%m-%d}/")}


FILES = [
    "channels-0001.jsonl",
    "channels-0001.jsonl.manifest.json",
    "channels-0002.jsonl",
    "channels-0002.jsonl.manifest.json",
]


class TestTheNights:
    def test_those_whose_export_went_well_are_stored(self, story: Story) -> None:
        assert story.states[NIGHTS[0]] == story.states[NIGHTS[2]] == "success"
        for night in (NIGHTS[0], NIGHTS[2]):
            assert [Path(name).name for name in of_night(story.stored, night)] == FILES

    def test_the_one_whose_export_failed_left_nothing(self, story: Story) -> None:
        assert story.states[NIGHTS[1]] == "failed"
        assert of_night(story.stored, NIGHTS[1]) == {}

    def test_the_last_one_in_which_nobody_wrote_is_skipped(self, real: RealStream, story: Story) -> None:
        (last,) = (run for run in real.airflow.runs(EXPORT) if run["run_type"] == "scheduled")
        real.airflow.wait_for_run(EXPORT, last["dag_run_id"], timeout=PATIENCE)
        tasks = real.airflow.task_instances(EXPORT, last["dag_run_id"])
        assert {task["task_id"]: task["state"] for task in tasks} == dict.fromkeys(EXPORT_TASKS, "skipped")


class TestTheAlert:
    def test_says_the_same_in_the_channel_and_in_the_mailbox(self, real: RealStream, story: Story) -> None:
        run_id = story.run_ids[NIGHTS[1]]
        posted, mailed = real.posted(EXPORT, run_id), real.mailed(EXPORT, run_id)
        assert list(posted) == list(mailed) == ["wait_for_exports"]
        alert = posted["wait_for_exports"]
        assert alert in text_of(mailed["wait_for_exports"])
        assert "storage_error: message store down" in alert
        assert "What to do: A failed Stream task stays failed." in alert
        assert f"{real.airflow.base_url}/dags/{EXPORT}" in alert

    def test_arrives_within_a_minute(self, real: RealStream, story: Story) -> None:
        run_id = story.run_ids[NIGHTS[1]]
        failed_at = next(task["created"] for task in real.sandbox.control.tasks() if UNLUCKY in task["items"])
        (posted_at,) = (
            call["time"]
            for call in real.sandbox.control.journal("SendMessage")
            if call["taken"] and run_id in json.dumps(call["body"])
        )
        mailed_at = parsedate_to_datetime(real.mailed(EXPORT, run_id)["wait_for_exports"]["date"])
        assert posted_at - failed_at < 60
        assert mailed_at.timestamp() - failed_at < 60

    def test_nights_that_went_well_are_not_reported(self, real: RealStream, story: Story) -> None:
        for night in (NIGHTS[0], NIGHTS[2]):
            assert real.posted(EXPORT, story.run_ids[night]) == {}
            assert real.mailed(EXPORT, story.run_ids[night]) == {}


class TestTheRepair:
    def test_stores_the_night(self, real: RealStream, story: Story) -> None:
        assert real.airflow.run_state(EXPORT, story.run_ids[NIGHTS[1]]) == "success"
        assert [Path(name).name for name in of_night(story.repaired, NIGHTS[1])] == FILES

    def test_touches_no_other_night(self, story: Story) -> None:
        others = {name: about for name, about in story.repaired.items() if name in story.stored}
        assert others == story.stored
        assert len(story.repaired) == len(story.stored) + len(FILES)

    def test_exports_that_night_again_and_nothing_else(self, real: RealStream, story: Story) -> None:
        exported = [call["body"]["channels"] for call in real.sandbox.control.journal("ExportChannels")]
        since = [
            channel["messages_since"][:10]
            for channels in exported
            for channel in channels
            if channel["cid"] == "messaging:busy-0"
        ]
        assert since == [f"{night:%Y-%m-%d}" for night in [*NIGHTS, NIGHTS[1]]]


class TestTheReport:
    def test_runs_once_for_each_night_that_was_stored(self, real: RealStream, story: Story) -> None:
        before = [event["source_run_id"] for run_id in story.reports for event in events(real, run_id)]
        after = [event["source_run_id"] for run_id in story.more_reports for event in events(real, run_id)]
        assert before == [story.run_ids[NIGHTS[0]], story.run_ids[NIGHTS[2]]]
        assert after == [story.run_ids[NIGHTS[1]]]
        assert (len(story.reports), len(story.more_reports)) == (2, 1)

    def test_reads_from_the_event_where_the_files_are(self, real: RealStream, story: Story) -> None:
        for run_id in [*story.reports, *story.more_reports]:
            assert real.airflow.run_state(REPORT, run_id) == "success"
            (event,) = events(real, run_id)
            for index, file in enumerate(event["extra"]["files"]):
                path = Path(file["path"].removeprefix("file://"))
                assert file["bytes"] == path.stat().st_size
                assert file["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
                seen = real.airflow.xcom(REPORT, run_id, "read_file", map_index=index)
                assert seen == {**file, "lines": file["items"]}


def events(real: RealStream, run_id: str) -> list[dict[str, Any]]:
    """Return the asset events that started a run of the report."""
    found = real.airflow.call("GET", f"/dags/{REPORT}/dagRuns/{run_id}/upstreamAssetEvents")
    return list(found["asset_events"])


class TestSignedUrls:
    def test_are_in_no_log_no_event_no_manifest_and_no_xcom_of_these_dags(
        self, real: RealStream, story: Story
    ) -> None:
        (stream_task_id, *_) = real.airflow.xcom(EXPORT, story.run_ids[NIGHTS[0]], "export_channels")
        needles = [f"{name}=" for name in signed_with(real, stream_task_id)]
        assert needles
        for needle in needles:
            assert list(xcoms_with(real, needle)) == []
            assert [place for place in places_of(real, needle) if place != XCOMS] == []
            for path in real.folder.rglob("*.manifest.json"):
                assert needle not in path.read_text()


def signed_with(real: RealStream, stream_task_id: str) -> list[str]:
    """Return the names of the parameters that sign the URL of an export, as Stream hands it out now."""
    sandbox = real.sandbox
    token = jwt.encode({"server": True}, sandbox.api_secret, algorithm="HS256")
    answer = requests.get(
        f"{sandbox.url}/api/v2/tasks/{stream_task_id}",
        params={"api_key": sandbox.api_key},
        headers={"Authorization": token, "stream-auth-type": "jwt"},
        timeout=30,
    )
    return list(parse_qs(urlsplit(answer.json()["result"]["url"]).query))


def xcoms_with(real: RealStream, needle: str) -> Iterator[dict[str, Any]]:
    """Yield the XComs of these DAGs in which a text stands."""
    for dag_id in (EXPORT, REPORT):
        for entry in real.airflow.xcom_entries(dag_id):
            place = entry["dag_id"], entry["run_id"], entry["task_id"], entry["key"], entry["map_index"]
            if needle in json.dumps(real.airflow.xcom(*place)):
                yield entry
