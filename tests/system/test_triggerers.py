"""One of two triggerers dies or stalls: every wait ends once, with the right outcome."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_streamtasks.sandbox import running_sandbox
from airflow_provider_streamtasks.spans import SPAN
from local_stack.airflow import Component, LocalAirflow
from tests.chaos.postgres import Postgres
from tests.system.collector import Span, collecting
from tests.system.real_stream import PATIENCE, START_TIMEOUT
from tests.system.two_triggerers import SETTINGS, Rig, Triggerer, until

pytestmark = pytest.mark.system

DAGS = Path(__file__).parent / "dags"
DAG_ID = "triggerers"
WAYS = ("with_workers", "without_workers")
ENDS = ("completed_early", "failed_early", "completed_late", "failed_late", "endless")
SENSORS = [f"{end}_{way}" for end in ENDS for way in WAYS]
STALL = 40.0

LISTENER = """
from pathlib import Path

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin


class Told:
    @hookimpl
    def on_task_instance_success(self, previous_state, task_instance):
        with (Path(__file__).parent / "told.txt").open("a") as file:
            file.write(task_instance.task_id + "\\n")


class Listening(AirflowPlugin):
    name = "listening"
    listeners = [Told()]
"""


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("triggerers")
    (folder / "dags").mkdir()
    shutil.copy(DAGS / "triggerers.py", folder / "dags")
    components: tuple[Component, ...] = ("api-server", "scheduler", "dag-processor")
    with (
        running_sandbox() as sandbox,
        collecting() as collector,
        Postgres(folder / "postgres.log") as database,
    ):
        sandbox.control.fate(operation="*", end="never")
        fields = {"login": sandbox.api_key, "password": sandbox.api_secret, "host": sandbox.url}
        env = {
            "AIRFLOW_CONN_STREAM_DEFAULT": json.dumps({"conn_type": "stream", **fields}),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database.url,
            **SETTINGS,
            **collector.env,
        }
        airflow = LocalAirflow(folder / "dags", env=env, home=folder / "airflow", components=components)
        airflow.start(timeout=START_TIMEOUT)
        one, two = (Triggerer(airflow, database, name) for name in ("triggerer-1", "triggerer-2"))
        try:
            one.start()
            two.start()
            yield Rig(airflow, database, sandbox, collector, one, two)
        finally:
            one.stop()
            two.stop()
            airflow.stop()


@dataclass
class Waits:
    """
    A run of the DAG.

    :param ids: sensor -> Stream task
    """

    rig: Rig
    run_id: str
    ids: dict[str, str]
    import_id: str = ""

    def all_wait(self) -> bool:
        """Whether all are in a triggerer, and have looked at Stream."""
        states = self.rig.states(self.run_id)
        assert "upstream_failed" not in states.values()
        lasting = [name for name in ("import", *self.ids) if "endless" not in name]
        if any(states.get(name) != "deferred" for name in lasting):
            return False
        (self.import_id,) = self.rig.airflow.xcom(DAG_ID, self.run_id, "import", "task_ids")
        return self.rig.asked_for() >= {*self.ids.values(), self.import_id}

    def end(self, when: str) -> None:
        """Let Stream end its tasks of a name."""
        for name, stream_task_id in self.ids.items():
            if when in name:
                self.rig.end([stream_task_id], name.split("_")[0])

    def have_ended(self, when: str) -> bool:
        """Whether the Airflow tasks of a name have ended."""
        states = self.rig.states(self.run_id)
        return all(states[name] in ("success", "failed") for name in self.ids if when in name)

    def task(self, name: str) -> dict[str, Any]:
        return self.rig.airflow.task_instance(DAG_ID, self.run_id, name)

    def log(self, name: str) -> str:
        return self.rig.airflow.logs(DAG_ID, self.run_id, name)


def begin(rig: Rig) -> Waits:
    ids = {name: rig.start_stream_task() for name in SENSORS}
    waits = Waits(rig, rig.airflow.trigger(DAG_ID, conf=ids), ids)
    until(waits.all_wait, "all wait, and have looked at Stream")
    return waits


@pytest.fixture(scope="module")
def killed(rig: Rig) -> Waits:
    """Waits during which one triggerer is killed, then the other; the one that is started again ends them."""
    waits = begin(rig)
    first, second = rig.busier_first()
    waits.end("early")
    first.kill()
    until(lambda: not first.waits(), "the waits of the one have moved to the other")
    second.kill()
    waits.end("late")
    rig.end([waits.import_id])
    first.start()
    # Alone, because on a busy machine a new one may be late with a heartbeat, and its waits move once more.
    rig.airflow.wait_for_run(DAG_ID, waits.run_id, timeout=PATIENCE)
    second.start()
    return waits


@pytest.fixture(scope="module")
def stalled(rig: Rig, killed: Waits) -> Waits:
    """Waits during which one triggerer stands still, and goes on when its waits have moved to the other."""
    waits = begin(rig)
    victim, _ = rig.busier_first()
    waits.end("early")
    victim.signal(signal.SIGSTOP)
    began = time.monotonic()
    try:
        until(lambda: not victim.waits(), "the waits of the one have moved to the other")
        until(lambda: waits.have_ended("early"), "what ended meanwhile has been seen by the other")
        time.sleep(max(0.0, began + STALL - time.monotonic()))
    finally:
        ends = {name: waits.task(name)["end_date"] for name in SENSORS if "early" in name}
        last = victim.heartbeat()
        victim.signal(signal.SIGCONT)
    until(lambda: victim.heartbeat() > last, "the one goes on")
    waits.end("late")
    rig.end([waits.import_id])
    rig.airflow.wait_for_run(DAG_ID, waits.run_id, timeout=PATIENCE)
    assert {name: waits.task(name)["end_date"] for name in ends} == ends, "it ended twice"
    return waits


@pytest.mark.parametrize("name", SENSORS)
@pytest.mark.parametrize("how", ["killed", "stalled"])
def test_every_wait_ends_once_with_the_right_outcome(
    rig: Rig, request: pytest.FixtureRequest, how: str, name: str
) -> None:
    waits: Waits = request.getfixturevalue(how)
    completed, failed, with_workers = "completed" in name, "failed" in name, "with_workers" in name
    task, log = waits.task(name), waits.log(name)
    assert (task["state"], task["try_number"]) == ("success" if completed else "failed", 1)
    assert rig.xcoms(DAG_ID, waits.run_id, name) == (["return_value"] if completed else [])
    assert ("StreamTaskFailed" in log) == failed
    assert ("AirflowSensorTimeout" in log) == (not completed and not failed)
    # One worker to begin, and one to end, where it is neither the way without workers nor a success.
    starts = rig.airflow.worker_starts(DAG_ID, waits.run_id, name)
    assert starts == with_workers + (with_workers or not completed)


@pytest.mark.parametrize("how", ["killed", "stalled"])
def test_no_import_is_cancelled(rig: Rig, request: pytest.FixtureRequest, how: str) -> None:
    waits: Waits = request.getfixturevalue(how)
    assert waits.task("import")["state"] == "success"
    assert not rig.sandbox.control.journal("CancelImportV2Task")


@pytest.mark.parametrize("name", [name for name in SENSORS if "late" in name])
def test_a_wait_is_one_span_from_its_beginning_however_often_it_moved(
    rig: Rig, killed: Waits, name: str
) -> None:
    def spans() -> list[Span]:
        return rig.collector.named(SPAN, "streamtasks.stream_task_ids", (killed.ids[name],))

    until(spans, "its span was exported")
    (span,) = spans()
    until(lambda: rig.collector.parents(span), "so was the one above")
    (parent,) = rig.collector.parents(span)
    assert parent.name.startswith("trigger.")
    assert name in parent.name
    assert span.seconds > parent.seconds
    assert span.attributes["streamtasks.outcome"] == name.split("_")[0]
    assert span.attributes["streamtasks.polls"] > 0


def test_listeners_are_notified_by_a_worker(rig: Rig, stalled: Waits) -> None:
    plugins = rig.airflow.home / "plugins"
    plugins.mkdir()
    (plugins / "listening.py").write_text(LISTENER)
    rig.airflow.restart("scheduler")
    rig.airflow.restart("dag-processor")
    shutil.copy(DAGS / "listened.py", rig.airflow.dags_folder)

    stream_task_id = rig.start_stream_task()
    run_id = rig.airflow.trigger("listened", conf={"stream_task_id": stream_task_id})
    until(lambda: stream_task_id in rig.asked_for(), "the sensor waits")
    rig.end([stream_task_id])
    assert rig.airflow.wait_for_run("listened", run_id) == "success"
    assert rig.airflow.worker_starts("listened", run_id, "wait") == 2
    assert "wait" in (plugins / "told.txt").read_text().split()
