"""The audit of the chaos suite finds what it is there to find: books with one thing wrong in each."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.audit import SENT_AGAIN, TRYING_AGAIN, audit, overlap
from tests.chaos.book import DAGS, Job, load_book, save_book, write_book
from tests.chaos.books import RUN_ID, Books, Down
from tests.chaos.plan import FULL, SHORT, Size, make_plan

JOB = Job("j000", 0, "DeleteChannels", 2, "sensor", "completed", 5.0, 60.0, "fail")
OPERATOR = replace(JOB, way="operator_deferrable")
SUBMIT, WAIT = "j000_submit", "j000_wait"


def sent(time: float, stream_task_id: str | None = "t1", status: int | None = 201) -> dict[str, Any]:
    """A submission as the journal has it; not taken where it has no Stream task."""
    return {
        "operation": "DeleteChannels",
        "time": time,
        "path": "/api/v2/chat/channels/delete",
        "body": {"cids": JOB.items, "hard_delete": True},
        "status": status,
        "fault": None,
        "taken": stream_task_id is not None,
        "stream_task_id": stream_task_id,
    }


def look(
    time: float, stream_task_id: str = "t1", status: int = 200, fault: str | None = None
) -> dict[str, Any]:
    path = f"/api/v2/tasks/{stream_task_id}"
    about = {"body": None, "taken": True, "stream_task_id": None, "fault": fault}
    return {"operation": "GetTask", "time": time, "path": path, "status": status, **about}


def row(task_id: str, state: str, start: float, end: float, try_number: int = 1) -> dict[str, Any]:
    moments = {"start_date": start, "end_date": end}
    return {"dag_id": "chaos_0", "task_id": task_id, "state": state, "try_number": try_number, **moments}


class Scene:
    """Books in which all is well, to be spoilt by a test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.books = Books(
            jobs=[JOB],
            journal=[sent(100.0), look(110.0)],
            stream_tasks={"t1": {"status": "completed", "ended": 105.0}},
            tries=[row(SUBMIT, "success", 99.0, 101.0), row(WAIT, "success", 101.0, 111.0)],
            reschedules={},
            logs=folder,
            outage=(1000.0, 1060.0),
        )

    def log(self, task_id: str, text: str, try_number: int = 1, exception: str | None = None) -> None:
        """Let a try of an Airflow task leave a log, which ends with an exception."""
        line: dict[str, Any] = {"event": text}
        if exception:
            detail = {"exc_type": exception, "exc_value": text}
            line = {"event": "Task failed with exception", "error_detail": [detail]}
        path = self.folder / "dag_id=chaos_0" / f"run_id={RUN_ID}" / f"task_id={task_id}"
        path.mkdir(parents=True, exist_ok=True)
        with (path / f"attempt={try_number}.log").open("a") as file:
            file.write(json.dumps(line) + "\n")

    def ends(self, job: Job, state: str, exception: str, text: str = "", end: float = 111.0) -> None:
        """Let the one Airflow task of a job fail."""
        self.books.jobs = [job]
        self.books.tries = [row(SUBMIT, state, 99.0, end)]
        self.log(SUBMIT, text, exception=exception)

    @property
    def faults(self) -> list[str]:
        """The kinds of faults that the audit finds."""
        return list(audit(self.books).faults)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_finds_nothing_where_all_is_well(scene: Scene) -> None:
    assert scene.faults == []


class TestSubmissions:
    def test_one_that_never_arrived_is_lost(self, scene: Scene) -> None:
        scene.books.journal[0] = sent(100.0, None, 503)
        assert "lost" in scene.faults

    def test_one_that_was_called_uncertain_is_not_lost(self, scene: Scene) -> None:
        scene.ends(OPERATOR, "failed", "StreamSubmissionFailed", "all but batch 1 (items 1 to 2): it sent it")
        scene.books.journal = [sent(100.0, None, 503)]
        assert scene.faults == []

    def test_one_must_not_be_called_uncertain_without_reason(self, scene: Scene) -> None:
        scene.ends(OPERATOR, "failed", "StreamSubmissionFailed", "all but batch 1 (items 1 to 2): it sent it")
        assert scene.faults == ["wrong"]

    def test_two_for_the_same_items_are_a_repetition(self, scene: Scene) -> None:
        scene.books.journal.insert(0, sent(99.0, "t0", 500))
        assert scene.faults == ["repeated"]

    def test_what_failed_may_be_submitted_anew(self, scene: Scene) -> None:
        scene.books.journal.insert(0, sent(90.0, "t0"))
        scene.books.stream_tasks["t0"] = {"status": "failed", "ended": 98.0}
        assert scene.faults == []

    @pytest.mark.parametrize(
        ("status", "words"), [(201, SENT_AGAIN), (500, TRYING_AGAIN), (None, SENT_AGAIN)]
    )
    def test_what_is_uncertain_may_be_sent_again_where_asked(
        self, scene: Scene, status: int | None, words: str
    ) -> None:
        scene.books.jobs = [replace(JOB, on_ambiguous="resubmit")]
        scene.books.journal.insert(0, sent(99.0, "t0", status))
        scene.log(SUBMIT, f"Stream may have it, so it {words}")
        assert scene.faults == []

    def test_an_answer_into_the_silence_of_the_outage_is_heard_by_nobody(self, scene: Scene) -> None:
        scene.books.jobs = [replace(JOB, on_ambiguous="resubmit")]
        scene.books.journal.insert(0, sent(99.0, "t0"))
        scene.log(SUBMIT, f"Stream did not answer within 10 s {TRYING_AGAIN} 0.0 s")
        assert scene.faults == ["repeated"]
        scene.books.outage = (40.0, 98.5)
        assert scene.faults == []

    def test_but_never_silently(self, scene: Scene) -> None:
        scene.books.jobs = [replace(JOB, on_ambiguous="resubmit")]
        scene.books.journal.insert(0, sent(99.0, "t0"))
        assert scene.faults == ["repeated"]


class TestEnds:
    def test_a_failure_that_stream_knows_nothing_of_is_wrong(self, scene: Scene) -> None:
        scene.books.tries[1] = row(WAIT, "failed", 101.0, 111.0)
        scene.log(WAIT, "Stream answered 503", exception="StreamApiException")
        assert scene.faults == ["wrong"]

    def test_a_failure_of_streams_is_right(self, scene: Scene) -> None:
        scene.books.jobs = [replace(JOB, end="failed")]
        scene.books.tries[1] = row(WAIT, "failed", 101.0, 111.0)
        scene.log(WAIT, "Stream task failed", exception="StreamTaskFailed")
        assert scene.faults == []

    @pytest.mark.parametrize("exception", [None, "StreamApiException", "StreamTransportException"])
    @pytest.mark.parametrize(("try_number", "faults"), [(3, ["wrong"]), (4, [])])
    def test_the_storm_may_end_the_last_try_of_what_always_fails(
        self, scene: Scene, try_number: int, faults: list[str], exception: str | None
    ) -> None:
        scene.books.jobs = [replace(OPERATOR, end="failed")]
        scene.books.tries = [row(SUBMIT, "failed", 99.0, 111.0, try_number)]
        scene.log(SUBMIT, "Stream answered 500", try_number, exception)
        assert scene.faults == faults

    def test_but_not_the_last_try_of_anything_else(self, scene: Scene) -> None:
        scene.books.jobs = [OPERATOR]
        scene.books.tries = [row(SUBMIT, "failed", 99.0, 111.0, OPERATOR.retries + 1)]
        assert scene.faults == ["wrong"]

    def test_a_success_before_the_stream_task_ended_is_wrong(self, scene: Scene) -> None:
        scene.books.stream_tasks["t1"]["ended"] = 120.0
        assert scene.faults == ["wrong"]

    def test_an_airflow_task_that_never_was_is_wrong(self, scene: Scene) -> None:
        del scene.books.tries[1]
        assert scene.faults == ["wrong"]

    def test_what_has_not_ended_is_stuck(self, scene: Scene) -> None:
        scene.books.tries[1] = row(WAIT, "deferred", 101.0, 101.0)
        scene.books.stuck = [f"{WAIT}: deferred"]
        assert scene.faults == ["stuck"]

    @pytest.mark.parametrize(("end", "faults"), [(189.0, []), (191.0, ["late"])])
    def test_a_deadline_may_be_exceeded_a_little(self, scene: Scene, end: float, faults: list[str]) -> None:
        scene.ends(replace(OPERATOR, end="never"), "failed", "AirflowSensorTimeout", end=end)
        assert scene.faults == faults

    def test_a_deadline_may_be_exceeded_by_what_was_down(self, scene: Scene) -> None:
        scene.ends(replace(OPERATOR, end="never"), "failed", "AirflowSensorTimeout", end=199.0)
        scene.books.downs = [Down("triggerer", 155.0, 170.0)]
        assert scene.faults == []


class TestOutage:
    @pytest.mark.parametrize(("time", "faults"), [(1119.0, []), (1121.0, ["unnoticed"])])
    def test_an_end_in_the_outage_is_noticed_soon_after_it(
        self, scene: Scene, time: float, faults: list[str]
    ) -> None:
        scene.books.stream_tasks["t1"]["ended"] = 1010.0
        scene.books.journal[1:] = [look(1005.0, status=503, fault="unavailable"), look(time)]
        scene.books.tries[1] = row(WAIT, "success", 101.0, time + 2.0)
        assert scene.faults == faults

    @pytest.mark.parametrize(("killed", "faults"), [(False, ["unnoticed"]), (True, [])])
    def test_whose_last_try_was_killed_notices_nothing(
        self, scene: Scene, killed: bool, faults: list[str]
    ) -> None:
        scene.books.jobs = [replace(OPERATOR, way="operator", end="failed")]
        scene.books.stream_tasks["t1"] = {"status": "failed", "ended": 1010.0}
        scene.books.journal[1:] = [look(1005.0, status=503, fault="unavailable")]
        scene.books.tries = [row(SUBMIT, "failed", 99.0, 1040.0, try_number=4)]
        if not killed:
            scene.log(SUBMIT, "Stream task failed", try_number=4, exception="StreamTaskException")
        assert scene.faults == faults

    def test_nobody_is_refused_because_all_come_back_at_once(self, scene: Scene) -> None:
        scene.books.journal.append(look(1062.0, status=429))
        assert scene.faults == ["stampede"]

    def test_a_429_that_the_storm_made_is_not_theirs(self, scene: Scene) -> None:
        scene.books.journal.append(look(1062.0, status=429, fault="rate_limit"))
        assert scene.faults == []


def test_downtimes_that_overlap_count_once() -> None:
    downs = [Down("triggerer", 10.0, 20.0), Down("scheduler", 15.0, 25.0), Down("worker-1", 40.0, 50.0)]
    assert overlap(downs, 12.0, 45.0) == 8.0 + 5.0 + 5.0


class TestSeeds:
    @pytest.mark.parametrize("size", [FULL, SHORT])
    def test_a_seed_repeats_itself(self, size: Size) -> None:
        dag_ids = [f"chaos_{number}" for number in range(DAGS)]
        assert make_plan(7, size, dag_ids) == make_plan(7, size, dag_ids)
        assert make_plan(7, size, dag_ids) != make_plan(8, size, dag_ids)
        assert write_book(7, size.tasks) == write_book(7, size.tasks)
        assert write_book(7, size.tasks) != write_book(8, size.tasks)

    @pytest.mark.parametrize("size", [FULL, SHORT])
    def test_nothing_is_killed_while_stream_comes_back(self, size: Size) -> None:
        for seed in range(50):
            plan = make_plan(seed, size, [])
            kills = [event.at for event in plan.events if event.what == "kill"]
            assert len(kills) == sum(size.kills.values())
            assert not [at for at in kills if plan.outage[1] - 5.0 < at < plan.outage[1] + size.calm]

    def test_the_book_is_read_as_it_was_written(self, tmp_path: Path) -> None:
        jobs = write_book(7, 300)
        save_book(jobs, tmp_path / "book.json")
        assert load_book(tmp_path / "book.json") == jobs
        assert sum(len(job.task_ids) for job in jobs) in (300, 301)
