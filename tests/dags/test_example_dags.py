"""The DAGs that users copy, run by Airflow itself against the sandbox."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from airflow import sdk

from airflow_provider_streamtasks import _compat
from airflow_provider_streamtasks.protocol.catalogue import CATALOGUE
from airflow_provider_streamtasks.sandbox import SandboxControl
from demo.scenarios import EVERY_OPERATION, SCENARIOS
from tests.conftest import Logs

FOLDER = Path(__file__).parents[2] / "dags"
NIGHT = datetime(2026, 3, 7, tzinfo=timezone.utc)  # when it ends
DAY = timedelta(days=1)
HAS_LOOPS = hasattr(sdk, "LoopDecision")  # Airflow 3.4


@pytest.fixture(scope="module")
def dags() -> dict[str, Any]:
    """The DAGs of the folder, known to a database of their own."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.utils.db import initdb

    from tests.airflow_names import DagBag

    initdb()
    DagBundlesManager().sync_bundles_to_db()
    bag = DagBag(dag_folder=FOLDER)
    assert bag.import_errors == {}
    return dict(bag.dags)


@pytest.fixture
def fates(control: SandboxControl, connection: None) -> None:
    """What the DAGs' channels are named after."""
    control.fate(
        operation="DeleteChannels",
        item="messaging:unlucky-*",
        end="failed",
        error={"type": "storage", "description": "shard 7 is read-only"},
    )
    control.fate(operation="DeleteChannels", item="messaging:endless-*", end="never")


def states(run: Any) -> dict[str, str]:
    return {ti.task_id: str(ti.state) for ti in run.get_task_instances()}


def test_every_file_of_the_folder_is_a_dag_that_is_tested_here(dags: dict[str, Any]) -> None:
    too_new = set() if HAS_LOOPS else {"export_users_in_rounds"}
    assert set(dags) == {path.stem for path in FOLDER.glob("*.py")} - too_new
    assert set(dags) | too_new == {
        "delete_channels_and_wait",
        "delete_channels_with_alert",
        "delete_channels_with_deadline",
        "delete_users_after_approval",
        "export_channels_to_storage",
        "export_users_in_rounds",
        "failed_operations",
        "failure_alerts",
        "gdpr_user_requests",
        "nightly_channel_export",
        "nightly_channel_report",
        "retention_cleanup",
    }


def test_every_dag_has_a_description_for_whoever_meets_it_in_the_ui(dags: dict[str, Any]) -> None:
    assert all(dag.doc_md for dag in dags.values())


@pytest.mark.usefixtures("fates")
def test_waiting_ends_when_stream_has_deleted_the_channels(
    dags: dict[str, Any], control: SandboxControl
) -> None:
    run = dags["delete_channels_and_wait"].test()
    assert states(run) == {"delete_channels": "success", "wait_for_deletion": "success"}
    (task,) = control.tasks()
    assert task["items"] == ["messaging:spring-sale", "messaging:summer-sale", "livestream:keynote"]
    assert task["finished"]
    waiting = run.get_task_instance("wait_for_deletion")
    result = waiting.xcom_pull(task_ids="wait_for_deletion", key="return_value")
    assert result["livestream:keynote"] == {"status": "ok"}


@pytest.mark.usefixtures("fates")
def test_a_failure_alerts_with_streams_words(
    dags: dict[str, Any], control: SandboxControl, logs: Logs
) -> None:
    run = dags["delete_channels_with_alert"].test()
    assert states(run) == {"delete_channels": "success", "wait_for_deletion": "failed"}
    (task,) = control.tasks()
    (alert,) = (line for line in logs.lines if line.startswith("delete_channels_with_alert."))
    words = [
        f"Stream task: {task['stream_task_id']}",
        "Error type: storage",
        "Description: shard 7 is read-only",
    ]
    # Before Airflow 3.3, dag.test() gives a callback no exception; a real run does.
    expected = words if _compat.RUNS_WITHOUT_WORKERS else ["None"]
    assert alert.splitlines()[:-1] == [
        f"delete_channels_with_alert.wait_for_deletion failed in the run {run.run_id}",
        *expected,
    ]
    assert "Log: http" in alert


def test_the_alert_of_each_operation_says_what_stream_said(
    dags: dict[str, Any], control: SandboxControl, connection: None
) -> None:
    for fate in json.loads((FOLDER.parent / "demo" / "fates.json").read_text()):
        control.fate(**{**fate, "pending": 0, "running": 0})
    control.add_user("airflow")
    control.add_channel("messaging:alerts")
    [expected] = (scenario.endings for scenario in SCENARIOS if scenario.dag_id == EVERY_OPERATION)

    run = dags[EVERY_OPERATION].test()

    assert states(run) == dict.fromkeys(expected, "failed")
    alerts = [message["text"] for message in control.messages("messaging:alerts")]
    for task_id, ending in expected.items():
        (alert,) = (alert for alert in alerts if alert.startswith(f"{EVERY_OPERATION}.{task_id} failed"))
        # Before Airflow 3.3, dag.test() gives a callback no exception; a real run does.
        if _compat.RUNS_WITHOUT_WORKERS:
            assert ending.alert in alert.splitlines()[0]
            assert "unknown" not in alert.splitlines()[0]


def test_each_operation_is_among_those_that_fail(dags: dict[str, Any]) -> None:
    started = {task.stream_operation.name for task in dags[EVERY_OPERATION].tasks}
    assert CATALOGUE.keys() <= started


@pytest.mark.usefixtures("fates")
def test_a_deadline_ends_the_wait_and_names_what_goes_on(
    dags: dict[str, Any], control: SandboxControl, logs: Logs, capfd: pytest.CaptureFixture[str]
) -> None:
    run = dags["delete_channels_with_deadline"].test()
    assert states(run) == {"delete_channels": "success", "wait_for_deletion": "failed"}
    (task,) = control.tasks()
    assert not task["finished"]
    printed = "".join(capfd.readouterr()) + logs.text
    assert "AirflowSensorTimeout" in printed
    assert f"did not finish the Stream task {task['stream_task_id']} within 10 s" in printed


@pytest.mark.usefixtures("fates")
def test_an_export_is_stored_where_the_parameter_says(
    dags: dict[str, Any], control: SandboxControl, logs: Logs, tmp_path: Path
) -> None:
    run = dags["export_channels_to_storage"].test(run_conf={"destination": f"file://{tmp_path}/exports/"})
    assert states(run) == {
        "export_channels": "success",
        "wait_for_export": "success",
        "store_export": "success",
    }
    (task,) = control.tasks()
    file = tmp_path / "exports" / f"{task['stream_task_id']}.jsonl"
    channels = [json.loads(line)["channel"]["cid"] for line in file.read_text().splitlines()]
    assert channels == ["messaging:general", "messaging:support"]
    storing = run.get_task_instance("store_export")
    assert storing.xcom_pull(task_ids="store_export", key="return_value") == {
        "path": f"file://{file}",
        "bytes": file.stat().st_size,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "stream_task_id": task["stream_task_id"],
        "items": 2,
    }
    assert "Signature" not in logs.text


if HAS_LOOPS:

    class TestExportInRounds:
        @pytest.fixture
        def folder(
            self,
            control: SandboxControl,
            connection: None,
            tmp_path: Path,
            monkeypatch: pytest.MonkeyPatch,
        ) -> Path:
            monkeypatch.setenv("AIRFLOW_VAR_STREAM_EXPORTS", f"file://{tmp_path}")
            control.fate(operation="ExportUsers", pending=0, running=0)
            return tmp_path / "users"

        @pytest.mark.parametrize(
            ("users", "rounds"), [(5, [2, 2, 1]), (4, [2, 2]), (1, [1])], ids=["odd", "even", "one"]
        )
        def test_every_user_is_exported_once_and_then_it_ends(
            self, dags: dict[str, Any], control: SandboxControl, folder: Path, users: int, rounds: list[int]
        ) -> None:
            for number in range(users):
                control.add_user(f"user-{number}")
            run = dags["export_users_in_rounds"].test(run_conf={"per_round": 2})
            assert run.state == "success"
            exported = [call["items"] for call in control.journal("ExportUsers")]
            assert [len(items) for items in exported] == rounds
            assert [item for items in exported for item in items] == [
                f"user-{number}" for number in range(users)
            ]
            assert len(list(folder.glob("*/*.jsonl"))) == len(rounds)

        def test_nobody_is_nothing_to_do(
            self, dags: dict[str, Any], control: SandboxControl, folder: Path
        ) -> None:
            run = dags["export_users_in_rounds"].test()
            assert control.journal("ExportUsers") == []
            assert run.state == "success"
            assert not folder.exists()


def add_channel(control: SandboxControl, cid: str, created: datetime, last_message: datetime | None) -> None:
    control.add_channel(
        cid,
        created_at=created.timestamp(),
        last_message_at=last_message.timestamp() if last_message else None,
    )


def result(run: Any, task_id: str, key: str = "return_value") -> Any:
    return run.get_task_instance(task_id).xcom_pull(task_ids=task_id, key=key)


class TestNightlyExport:
    @pytest.fixture
    def folder(
        self, control: SandboxControl, connection: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Path:
        monkeypatch.setenv("AIRFLOW_VAR_STREAM_EXPORTS", f"file://{tmp_path}")
        control.fate(operation="ExportChannels", pending=0, running=0)
        return tmp_path / "channels" / "2026-03-06"

    def exported(self, control: SandboxControl) -> list[dict[str, str]]:
        return [channel for call in control.journal("ExportChannels") for channel in call["body"]["channels"]]

    def test_exports_that_day_of_every_channel_in_which_somebody_may_have_written(
        self, dags: dict[str, Any], control: SandboxControl, folder: Path
    ) -> None:
        add_channel(control, "messaging:that-day", NIGHT - 9 * DAY, NIGHT - DAY / 2)
        add_channel(control, "messaging:also-later", NIGHT - 9 * DAY, NIGHT + DAY)
        add_channel(control, "messaging:only-before", NIGHT - 9 * DAY, NIGHT - 2 * DAY)
        add_channel(control, "messaging:only-later", NIGHT + DAY / 2, NIGHT + DAY)
        add_channel(control, "messaging:never", NIGHT - 9 * DAY, None)

        run = dags["nightly_channel_export"].test(logical_date=NIGHT)

        assert set(states(run).values()) == {"success"}
        night = {"messages_since": "2026-03-06T00:00:00+00:00", "messages_until": "2026-03-07T00:00:00+00:00"}
        assert sorted(self.exported(control), key=lambda channel: channel["cid"]) == [
            {"cid": "messaging:also-later", **night},
            {"cid": "messaging:that-day", **night},
        ]
        assert sorted(path.name for path in folder.iterdir()) == [
            "channels-0001.jsonl",
            "channels-0001.jsonl.manifest.json",
        ]

    def test_every_batch_is_a_file(self, dags: dict[str, Any], control: SandboxControl, folder: Path) -> None:
        for number in range(30):
            add_channel(control, f"messaging:{number}", NIGHT - 9 * DAY, NIGHT - DAY / 2)

        run = dags["nightly_channel_export"].test(logical_date=NIGHT)

        assert len(self.exported(control)) == 30
        assert [(Path(file["path"]).name, file["items"]) for file in result(run, "store_exports")] == [
            ("channels-0001.jsonl", 25),
            ("channels-0002.jsonl", 5),
        ]

    def test_a_night_that_is_run_again_replaces_its_files(
        self, dags: dict[str, Any], control: SandboxControl, folder: Path
    ) -> None:
        add_channel(control, "messaging:that-day", NIGHT - 9 * DAY, NIGHT - DAY / 2)
        first = result(dags["nightly_channel_export"].test(logical_date=NIGHT), "store_exports")
        add_channel(control, "messaging:that-day", NIGHT - 9 * DAY, NIGHT + 5 * DAY)

        again = dags["nightly_channel_export"].test(logical_date=NIGHT)

        assert set(states(again).values()) == {"success"}
        manifest = json.loads((folder / "channels-0001.jsonl.manifest.json").read_text())
        assert manifest["stream_task_id"] == control.tasks()[-1]["stream_task_id"]
        assert len(control.tasks()) == 2
        assert first["path"] == manifest["path"]
        assert first["stream_task_id"] != manifest["stream_task_id"]

    def test_a_day_on_which_nobody_wrote_is_skipped(
        self, dags: dict[str, Any], control: SandboxControl, folder: Path
    ) -> None:
        run = dags["nightly_channel_export"].test(logical_date=NIGHT)

        assert set(states(run).values()) == {"skipped"}
        assert control.journal("ExportChannels") == []
        assert not folder.exists()


class TestRetention:
    @pytest.fixture
    def dags(self, dags: dict[str, Any]) -> dict[str, Any]:
        """Read anew for each test: dag.test() leaves the values of its run where the templates were."""
        from tests.airflow_names import DagBag

        return dict(DagBag(dag_folder=FOLDER / "retention_cleanup.py").dags)

    @pytest.fixture(autouse=True)
    def channels(self, control: SandboxControl, connection: None) -> None:
        now = datetime.now(timezone.utc)
        control.fate(operation="DeleteChannels", pending=0, running=0)
        control.add_user("airflow")
        control.add_channel("messaging:alerts")
        for name, silent in (("a", 366), ("b", 700), ("c", 364)):
            add_channel(control, f"messaging:{name}", now - 800 * DAY, now - silent * DAY)
        add_channel(control, "livestream:other-type", now - 800 * DAY, now - 700 * DAY)
        add_channel(control, "messaging:never", now - 800 * DAY, None)

    def test_deletes_what_was_silent_for_a_year_for_good(
        self, dags: dict[str, Any], control: SandboxControl
    ) -> None:
        run = dags["retention_cleanup"].test(run_conf={"at_most": 2})

        assert set(states(run).values()) == {"success"}
        (call,) = control.journal("DeleteChannels")
        assert sorted(call["items"]) == ["messaging:a", "messaging:b"]
        assert call["body"]["hard_delete"] is True

    def test_deletes_nothing_if_it_would_be_too_much(
        self, dags: dict[str, Any], control: SandboxControl
    ) -> None:
        run = dags["retention_cleanup"].test(run_conf={"at_most": 1})

        assert states(run) == {"find_channels": "success", "delete_channels": "failed"}
        assert control.journal("DeleteChannels") == []

    def test_the_limit_is_there_by_default(self, dags: dict[str, Any]) -> None:
        dag = dags["retention_cleanup"]
        assert dag.params["at_most"] == 1000
        assert dag.get_task("delete_channels").max_items == "{{ params.at_most }}"

    def test_a_dry_run_counts_and_deletes_nothing(
        self, dags: dict[str, Any], control: SandboxControl
    ) -> None:
        run = dags["retention_cleanup"].test(run_conf={"dry_run": True})

        assert set(states(run).values()) == {"success"}
        assert control.journal("DeleteChannels") == []
        found = result(run, "delete_channels", "dry_run")
        assert (found["items"], sorted(found["sample"])) == (2, ["messaging:a", "messaging:b"])

    def test_a_second_run_finds_nothing_and_is_skipped(
        self, dags: dict[str, Any], control: SandboxControl
    ) -> None:
        for _ in range(2):
            run = dags["retention_cleanup"].test(run_conf={"at_most": 2})

        assert set(states(run).values()) == {"skipped"}
        assert len(control.journal("DeleteChannels")) == 1


class TestGdpr:
    @pytest.fixture
    def folder(
        self, control: SandboxControl, connection: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Path:
        monkeypatch.setenv("AIRFLOW_VAR_STREAM_GDPR", f"file://{tmp_path}")
        for operation in ("ExportUsers", "DeleteUsers"):
            control.fate(operation=operation, pending=0, running=0)
        for user_id in ("airflow", "erasmus", "thomas"):
            control.add_user(user_id)
        control.add_channel("messaging:alerts")
        return tmp_path / "erasmus"

    def answer(self, dags: dict[str, Any], user_id: str) -> Any:
        conf = {"user_id": user_id, "reference": "request 117"}
        return dags["gdpr_user_requests"].test(run_conf=conf)

    def test_exports_the_user_deletes_the_user_and_writes_what_was_done(
        self, dags: dict[str, Any], control: SandboxControl, folder: Path
    ) -> None:
        run = self.answer(dags, "erasmus")

        assert set(states(run).values()) == {"success"}
        export, deletion = control.tasks()
        (record,) = folder.glob("*/record.json")
        (file,) = folder.glob("*/*.jsonl")
        said = json.loads(record.read_text())
        assert said == {
            "user_id": "erasmus",
            "reference": "request 117",
            "requested_at": run.run_after.isoformat(),
            "requested_by": "dag_test",
            "export": {
                "path": f"file://{file}",
                "bytes": file.stat().st_size,
                "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
                "stream_task_id": export["stream_task_id"],
                "items": 1,
            },
            "deletion": {
                "stream_task_id": deletion["stream_task_id"],
                "verified_at": result(run, "verify"),
            },
        }
        (call,) = control.journal("DeleteUsers")
        assert call["body"] == {
            "user_ids": ["erasmus"],
            "user": "hard",
            "messages": "hard",
            "conversations": "hard",
            "calls": "hard",
            "files": True,
        }

    def test_a_dry_run_stores_the_export_and_deletes_nobody(
        self, dags: dict[str, Any], control: SandboxControl, folder: Path
    ) -> None:
        run = dags["gdpr_user_requests"].test(run_conf={"user_id": "erasmus", "dry_run": True})

        assert states(run)["delete_user"] == "success"
        assert (states(run)["verify"], states(run)["write_record"]) == ("skipped", "skipped")
        assert control.journal("DeleteUsers") == []
        assert result(run, "delete_user", "dry_run")["sample"] == ["erasmus"]
        assert len(list(folder.glob("*/*.jsonl"))) == 1

    def test_it_deletes_one_user_whatever_becomes_of_the_list(self, dags: dict[str, Any]) -> None:
        assert dags["gdpr_user_requests"].get_task("delete_user").max_items == 1

    def test_a_user_whom_nobody_knows_is_a_failure(
        self, dags: dict[str, Any], control: SandboxControl, folder: Path
    ) -> None:
        run = self.answer(dags, "nobody")

        assert states(run)["find_user"] == "failed"
        assert control.tasks() == []


class TestApproval:
    @pytest.fixture(autouse=True)
    def users(self, control: SandboxControl, connection: None) -> None:
        control.fate(operation="DeleteUsers", pending=0, running=0)
        control.add_user("airflow")

    def test_what_was_counted_is_deleted(self, dags: dict[str, Any], control: SandboxControl) -> None:
        for name in ("ann", "joe"):
            control.add_user(name, role="guest")

        # Whoever approves is a person: the tests in tests/system ask a real Airflow.
        run = dags["delete_users_after_approval"].test(mark_success_pattern="approve")

        assert set(states(run).values()) == {"success"}
        assert result(run, "count_users", "dry_run")["sample"] == ["ann", "joe"]
        (call,) = control.journal("DeleteUsers")
        assert sorted(call["items"]) == ["ann", "joe"]

    def test_a_mistake_of_the_filter_deletes_nobody_by_default(
        self, dags: dict[str, Any], control: SandboxControl
    ) -> None:
        for number in range(1100):
            control.add_user(f"user-{number}", role="guest")

        run = dags["delete_users_after_approval"].test(mark_success_pattern="approve")

        assert states(run)["count_users"] == "failed"
        assert states(run)["delete_users"] == "upstream_failed"
        assert control.journal("DeleteUsers") == []

    def test_nobody_is_deleted_without_an_answer(self, dags: dict[str, Any]) -> None:
        dag = dags["delete_users_after_approval"]
        assert dag.get_task("delete_users").upstream_task_ids == {"approve", "find_users"}
        assert dag.get_task("approve").defaults == ["Reject"]


class TestShape:
    """What whoever copies a DAG relies on, and what its schedule promises."""

    def test_the_nightly_export_is_about_whole_days(self, dags: dict[str, Any]) -> None:
        from tests.airflow_names import CronDataIntervalTimetable

        dag = dags["nightly_channel_export"]
        assert dag.schedule == CronDataIntervalTimetable("@daily", timezone="UTC")
        assert (dag.catchup, dag.max_active_runs) == (False, 1)
        assert [asset.name for asset in dag.get_task("store_exports").outlets] == ["stream_nightly_channels"]
        assert dag.get_task("store_exports").overwrite == "overwrite"
        assert dag.get_task("wait_for_exports").redact_result_urls
        assert {task.retries for task in dag.tasks} == {2}

    def test_the_report_is_scheduled_by_what_the_export_stores(self, dags: dict[str, Any]) -> None:
        assert dags["nightly_channel_report"].schedule == (
            dags["nightly_channel_export"].get_task("store_exports").outlets
        )

    @pytest.mark.parametrize("dag_id", ["gdpr_user_requests", "failure_alerts"])
    def test_nothing_starts_by_itself_that_somebody_must_ask_for(
        self, dags: dict[str, Any], dag_id: str
    ) -> None:
        assert dags[dag_id].schedule is None

    @pytest.mark.parametrize("dag_id", ["nightly_channel_export", "retention_cleanup", "gdpr_user_requests"])
    def test_every_airflow_task_alerts_and_is_retried(self, dags: dict[str, Any], dag_id: str) -> None:
        for task in dags[dag_id].tasks:
            assert task.on_failure_callback, task.task_id
            assert task.retries == 2, task.task_id

    def test_a_user_id_is_asked_for_and_leads_to_no_other_folder(self, dags: dict[str, Any]) -> None:
        from airflow.providers.common.compat.sdk import ParamValidationError

        user_id = dags["gdpr_user_requests"].params.get_param("user_id")
        assert not user_id.has_value
        with pytest.raises(ParamValidationError):
            user_id.resolve("../somebody")

    def test_nobody_is_deleted_before_the_export_is_stored(self, dags: dict[str, Any]) -> None:
        dag = dags["gdpr_user_requests"]
        assert dag.get_task("delete_user").upstream_task_ids == {"store_export"}
        assert {task.trigger_rule.value for task in dag.tasks} == {"all_success"}

    def test_parsing_loads_nothing_heavy(self) -> None:
        code = (
            "import json, pathlib, runpy, sys; import airflow.sdk, airflow.triggers.base; "
            "before = set(sys.modules); "
            f"[runpy.run_path(path) for path in pathlib.Path({str(FOLDER)!r}).glob('*.py')]; "
            "print(json.dumps(list(set(sys.modules) - before)))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        loaded = set(json.loads(done.stdout.splitlines()[-1]))
        assert "airflow_provider_streamtasks.transfers.export" in loaded
        assert not loaded & {"aiohttp", "requests", "jwt", "tenacity", "airflow_provider_streamtasks.sandbox"}


def test_airflow_loads_none_of_them_from_the_package() -> None:
    # With [core] load_examples, Airflow 3.3 loads every provider's folder example_dags; some of these delete.
    root = FOLDER.parent
    assert not (root / "airflow_provider_streamtasks" / "example_dags").exists()
    assert 'dags = "airflow_provider_streamtasks/dags_to_copy"' in (root / "pyproject.toml").read_text()
