"""The other DAGs to copy on a real Airflow: requests for erasure, retention, and every alert there is."""

from __future__ import annotations

import hashlib
import json
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import quote

import pytest

from airflow_provider_streamtasks import configuration
from tests.system.real_stream import ALERTS, PATIENCE, RealStream, text_of

pytestmark = pytest.mark.system

GDPR_TASKS = ["find_user", "export_user", "store_export", "delete_user", "verify", "write_record"]


def states(real: RealStream, dag_id: str, run_id: str) -> dict[str, str]:
    return {task["task_id"]: task["state"] for task in real.airflow.task_instances(dag_id, run_id)}


class TestGdprUserRequests:
    @pytest.fixture(scope="class")
    @classmethod
    def run_id(cls, real: RealStream) -> str:
        real.sandbox.control.add_user("erasmus")
        run_id = real.airflow.trigger(
            "gdpr_user_requests", {"user_id": "erasmus", "reference": "request 117"}
        )
        real.airflow.wait_for_run("gdpr_user_requests", run_id, timeout=PATIENCE)
        return run_id

    def record(self, real: RealStream) -> Path:
        (record,) = (real.folder / "gdpr" / "erasmus").glob("*/record.json")
        return record

    def test_the_user_is_gone(self, real: RealStream, run_id: str) -> None:
        assert states(real, "gdpr_user_requests", run_id) == dict.fromkeys(GDPR_TASKS, "success")
        (deletion,) = real.sandbox.control.journal("DeleteUsers")
        assert deletion["items"] == ["erasmus"]
        assert {deletion["body"][what] for what in ("user", "messages", "conversations", "calls")} == {"hard"}

    def test_the_record_says_what_was_done(self, real: RealStream, run_id: str) -> None:
        said = json.loads(self.record(real).read_text())
        export = Path(said["export"]["path"].removeprefix("file://"))
        assert (said["user_id"], said["reference"]) == ("erasmus", "request 117")
        assert said["export"]["sha256"] == hashlib.sha256(export.read_bytes()).hexdigest()
        tasks = {task["operation"]: task["stream_task_id"] for task in real.sandbox.control.tasks()}
        assert said["export"]["stream_task_id"] == tasks["ExportUsers"]
        assert said["deletion"]["stream_task_id"] == tasks["DeleteUsers"]
        assert said["requested_at"] < said["deletion"]["verified_at"]

    def test_a_run_that_is_started_over_does_nothing(self, real: RealStream, run_id: str) -> None:
        before = self.record(real).stat().st_mtime_ns
        real.airflow.clear("gdpr_user_requests", run_id, GDPR_TASKS)
        real.airflow.wait_for_run("gdpr_user_requests", run_id, timeout=PATIENCE)

        assert states(real, "gdpr_user_requests", run_id) == dict.fromkeys(GDPR_TASKS, "skipped")
        assert self.record(real).stat().st_mtime_ns == before
        assert len(real.sandbox.control.journal("DeleteUsers")) == 1

    def test_a_user_whom_nobody_knows_brings_an_alert(self, real: RealStream) -> None:
        run_id = real.airflow.trigger("gdpr_user_requests", {"user_id": "nobody"})

        assert real.airflow.wait_for_run("gdpr_user_requests", run_id, timeout=PATIENCE) == "failed"
        assert "Stream knows no user 'nobody'" in real.posted("gdpr_user_requests", run_id)["find_user"]


class TestRetentionCleanup:
    DAG_ID = "retention_cleanup"

    @pytest.fixture(scope="class")
    @classmethod
    def limited(cls, real: RealStream) -> str:
        """Let the scheduler's own run end, which finds nothing; then start one that finds too much."""
        first = real.airflow.trigger(cls.DAG_ID)
        for run_id in {first, *(run["dag_run_id"] for run in real.airflow.runs(cls.DAG_ID))}:
            real.airflow.wait_for_run(cls.DAG_ID, run_id, timeout=PATIENCE)
        now = datetime.now(timezone.utc)
        for name, days in (("left-1", 366), ("left-2", 500), ("used", 300)):
            real.sandbox.control.add_channel(
                f"messaging:{name}",
                created_at=(now - timedelta(days=600)).timestamp(),
                last_message_at=(now - timedelta(days=days)).timestamp(),
            )
        run_id = real.airflow.trigger(cls.DAG_ID, {"at_most": 1})
        real.airflow.wait_for_run(cls.DAG_ID, run_id, timeout=PATIENCE)
        return run_id

    def deleted(self, real: RealStream) -> list[str]:
        return sorted(
            cid
            for call in real.sandbox.control.journal("DeleteChannels")
            for cid in call["items"]
            if cid in ("messaging:left-1", "messaging:left-2", "messaging:used")
        )

    def test_nothing_is_deleted_if_it_would_be_too_much(self, real: RealStream, limited: str) -> None:
        assert states(real, self.DAG_ID, limited) == {
            "find_channels": "success",
            "delete_channels": "failed",
        }
        assert self.deleted(real) == []
        assert (
            "max_items allows 1, and nothing was sent" in real.posted(self.DAG_ID, limited)["delete_channels"]
        )

    def test_what_nobody_used_for_a_year_is_deleted(self, real: RealStream, limited: str) -> None:
        run_id = real.airflow.trigger(self.DAG_ID)

        assert real.airflow.wait_for_run(self.DAG_ID, run_id, timeout=PATIENCE) == "success"
        assert self.deleted(real) == ["messaging:left-1", "messaging:left-2"]
        assert real.airflow.xcom(self.DAG_ID, run_id, "delete_channels", "result") == {
            "messaging:left-1": {"status": "ok"},
            "messaging:left-2": {"status": "ok"},
        }


class TestDeleteUsersAfterApproval:
    DAG_ID = "delete_users_after_approval"
    GUESTS = ("guest-1", "guest-2")

    def asked(self, real: RealStream) -> str:
        """Start a run, and return its id once a person is waited for."""
        run_id = real.airflow.trigger(self.DAG_ID)
        deadline = time.monotonic() + PATIENCE
        while states(real, self.DAG_ID, run_id)["approve"] not in ("deferred", "awaiting_input"):
            assert time.monotonic() < deadline, states(real, self.DAG_ID, run_id)
            time.sleep(0.5)
        return run_id

    def question(self, run_id: str) -> str:
        run = f"/dags/{self.DAG_ID}/dagRuns/{quote(run_id, safe='')}"
        return f"{run}/taskInstances/approve/-1/hitlDetails"

    def answer(self, real: RealStream, run_id: str, option: str) -> str:
        real.airflow.call("PATCH", self.question(run_id), body={"chosen_options": [option]})
        return real.airflow.wait_for_run(self.DAG_ID, run_id, timeout=PATIENCE)

    def deletions_of_guests(self, real: RealStream) -> list[list[str]]:
        calls = [call["items"] for call in real.sandbox.control.journal("DeleteUsers")]
        return [sorted(items) for items in calls if set(items) & set(self.GUESTS)]

    def test_a_rejection_deletes_nobody_and_an_approval_those_who_were_counted(
        self, real: RealStream
    ) -> None:
        for guest in self.GUESTS:
            real.sandbox.control.add_user(guest, role="guest")
        rejected, approved = self.asked(real), self.asked(real)
        for run_id in (rejected, approved):
            seen = real.airflow.call("GET", self.question(run_id))
            assert seen["subject"] == "Delete 2 users for good?"
            assert "guest-1, guest-2" in seen["body"]
        # As a person takes a while: of an answer within a second, Airflow makes a state mismatch (3.3.2).
        time.sleep(configuration.worker_end_seen())

        assert self.answer(real, rejected, "Reject") == "success"
        assert states(real, self.DAG_ID, rejected)["delete_users"] == "skipped"
        assert self.deletions_of_guests(real) == []

        assert self.answer(real, approved, "Approve") == "success"
        assert self.deletions_of_guests(real) == [["guest-1", "guest-2"]]


class TestFailureAlerts:
    DAG_ID = "failure_alerts"

    @pytest.fixture(scope="class")
    @classmethod
    def run_id(cls, real: RealStream) -> str:
        real.sandbox.control.fault("reset_after", operation="ReactivateUsers", times=1)
        run_id = real.airflow.trigger(cls.DAG_ID)
        real.airflow.wait_for_run(cls.DAG_ID, run_id, timeout=PATIENCE)
        return run_id

    @pytest.mark.parametrize(
        ("task_id", "words"),
        [
            ("failed_at_stream", "storage_error: message store down"),
            ("not_in_time", "did not finish the Stream task"),
            ("partly_failed", "messaging:frozen-1 (the channel is frozen)"),
            ("refused", "Stream answered 400"),
            ("no_answer", "may or may not have taken"),
            ("no_connection", "stream_forgotten"),
        ],
    )
    def test_each_failure_is_reported_in_the_channel_and_in_the_mailbox(
        self, real: RealStream, run_id: str, task_id: str, words: str
    ) -> None:
        assert states(real, self.DAG_ID, run_id)[task_id] == "failed"
        alert = real.posted(self.DAG_ID, run_id)[task_id]
        assert words in alert
        assert [line.partition(": ")[0] for line in alert.splitlines()[1:]] == [
            "For",
            "Since",
            "What to do",
            "Log",
        ]
        assert alert in text_of(real.mailed(self.DAG_ID, run_id)[task_id])

    def test_a_late_run_is_reported_by_the_triggerer(self, real: RealStream, run_id: str) -> None:
        (alert,) = (
            message["text"]
            for message in real.sandbox.control.messages(ALERTS)
            if "missed its deadline" in message["text"]
        )
        assert alert.startswith(f"{self.DAG_ID} missed its deadline (run {run_id})")

    def test_nothing_else_is_reported(self, real: RealStream, run_id: str) -> None:
        failed = set(states(real, self.DAG_ID, run_id))
        assert set(real.posted(self.DAG_ID, run_id)) == set(real.mailed(self.DAG_ID, run_id)) == failed
