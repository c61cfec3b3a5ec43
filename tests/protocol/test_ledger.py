from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_streamtasks.exceptions import StreamSubmissionException
from airflow_provider_streamtasks.protocol.ledger import Batch, Ledger, State
from airflow_provider_streamtasks.protocol.tasks import StreamTask, TaskError

CAP = 3
ITEMS = [f"a:{number}" for number in range(8)]


def stored(ledger: Ledger) -> Ledger:
    """Return the ledger as a later try reads it."""
    return Ledger(json.loads(json.dumps(ledger.dump(0, len(ledger.entries)))))


def to_send(ledger: Ledger, items: list[Any] = ITEMS, *, resubmit: bool = False) -> Iterator[Batch]:
    return ledger.to_send(iter(items), CAP, resubmit_uncertain=resubmit)


def submitted(items: list[Any] = ITEMS) -> Ledger:
    """Return the ledger of a submission that went well: the Stream tasks t0, t1, …"""
    ledger = Ledger()
    for batch in to_send(ledger, items):
        ledger.sending(batch)
        ledger.accepted(batch, f"t{batch.index}", {})
    return ledger


def ended(tasks: dict[str, dict[str, str]]) -> list[StreamTask]:
    """Return Stream tasks that failed, or completed with items that failed inside: id -> these."""
    return [
        StreamTask(
            task_id, "completed", {item: {"status": "error", "error": why} for item, why in items.items()}
        )
        if items
        else StreamTask(task_id, "failed", error=TaskError("storage", "full"))
        for task_id, items in tasks.items()
    ]


def batches(ledger: Ledger, **options: Any) -> dict[int, list[Any]]:
    return {batch.index: list(batch.items) for batch in to_send(ledger, **options)}


# -- what is sent ------------------------------------------------------------------------------------------


def test_at_first_everything_is_sent_in_order() -> None:
    assert batches(Ledger()) == {0: ITEMS[:3], 1: ITEMS[3:6], 2: ITEMS[6:]}


def test_batches_are_cut_as_they_are_sent() -> None:
    read = []

    def items() -> Iterator[str]:
        for item in ITEMS:
            read.append(item)
            yield item

    next(Ledger().to_send(items(), CAP, resubmit_uncertain=False))
    assert read == ITEMS[:3]


def test_what_was_accepted_is_not_sent_again() -> None:
    ledger = stored(submitted())
    assert batches(ledger) == batches(ledger, resubmit=True) == {}
    assert ledger.task_ids == ["t0", "t1", "t2"]
    assert ledger.uncertain == []


def test_items_that_were_added_behind_are_sent() -> None:
    ledger = stored(submitted(ITEMS[:6]))
    assert batches(ledger) == {2: ITEMS[6:]}


def test_what_stream_refused_is_sent_again() -> None:
    ledger = Ledger()
    first, second, _ = to_send(ledger)
    ledger.sending(first)
    ledger.accepted(first, "t0", {})
    ledger.refused(second, ledger.sending(second))
    assert batches(stored(ledger)) == {1: ITEMS[3:6], 2: ITEMS[6:]}


@pytest.mark.parametrize("noted", [False, True])
def test_what_may_have_arrived_is_set_aside(noted: bool) -> None:
    ledger = Ledger()
    batch = next(to_send(ledger))
    ledger.sending(batch)
    if noted:  # otherwise the worker died before it could
        ledger.doubtful(batch)
    ledger = stored(ledger)
    assert ledger.uncertain == [0]
    assert ledger.task_ids == []
    assert batches(ledger) == {1: ITEMS[3:6], 2: ITEMS[6:]}


def test_what_may_have_arrived_is_sent_again_if_the_user_wants_it() -> None:
    ledger = Ledger()
    ledger.sending(next(to_send(ledger)))
    assert batches(stored(ledger), resubmit=True) == {0: ITEMS[:3], 1: ITEMS[3:6], 2: ITEMS[6:]}


def test_what_failed_is_sent_again_as_a_whole() -> None:
    ledger = stored(submitted())
    assert ledger.failed(ended({"t1": {}, "another": {}})) == [1]
    assert batches(stored(ledger)) == {1: ITEMS[3:6]}
    assert ledger.task_ids == ["t0", "t2"]


def test_of_a_batch_in_which_items_failed_only_these_are_sent_again() -> None:
    ledger = stored(submitted())
    ledger.failed(ended({"t1": {"a:4": "gone"}}))
    assert batches(stored(ledger)) == {1: ["a:4"]}


BAD, OK = {"status": "error", "error": "gone"}, {"status": "ok"}


@pytest.mark.parametrize(
    ("result", "again"),
    [
        ({"a:3": OK, "a:4": BAD, "a:5": OK}, ["a:4"]),
        ({"a:3": OK, "a:4": BAD, "a:5": BAD}, ["a:4", "a:5"]),
        ({"a:4": BAD}, ITEMS[3:6]),
        ({"a:3": OK, "a:4": OK, "a:5": OK}, ITEMS[3:6]),
        ({"a:3": OK, "a:4": BAD, "b:5": BAD}, ITEMS[3:6]),
        ({}, ITEMS[3:6]),
        (None, ITEMS[3:6]),
    ],
)
def test_of_a_failed_stream_task_only_what_failed_is_sent_again_if_it_names_every_item(
    result: Any, again: list[str]
) -> None:
    ledger = stored(submitted())
    ledger.failed([StreamTask("t1", "failed", result)])
    assert batches(stored(ledger)) == {1: again}


@pytest.mark.parametrize(
    ("groups", "again"),
    [
        ([{"reason": "frozen", "cids": ["a:4"]}], ["a:4"]),
        ([{"reason": "frozen", "cids": ["a:4"]}, {"reason": "busy", "cids": []}], ITEMS[3:6]),
        ([{"reason": "busy"}], ITEMS[3:6]),
    ],
)
def test_where_not_every_failed_item_is_named_the_whole_batch_is_sent_again(
    groups: list[Any], again: list[str]
) -> None:
    ledger = stored(submitted())
    ledger.failed([StreamTask("t1", "completed", {"failed_channels": groups})])
    assert batches(stored(ledger)) == {1: again}


@pytest.mark.parametrize(
    ("task", "not_before"),
    [
        (StreamTask("t1", "failed", {"description": "Rate limit exceeded"}), 99.0),
        (StreamTask("t1", "completed", {"status": "failed", "description": "too many requests"}), 99.0),
        (StreamTask("t1", "failed", {"description": "full"}), 0.0),
        (StreamTask("t1", "completed", {"a:4": {"status": "error", "error": "rate limit"}}), 99.0),
        (StreamTask("t1", "completed", {"a:4": {"status": "error", "error": "gone"}}), 0.0),
    ],
)
def test_what_failed_of_streams_own_rate_limit_is_sent_again_after_a_pause(
    task: StreamTask, not_before: float
) -> None:
    ledger = stored(submitted())
    ledger.failed([task], pause_until=99.0)
    (batch,) = to_send(stored(ledger))
    assert batch.not_before == not_before


def test_items_that_are_objects_are_sent_again_as_a_whole() -> None:
    items = [{"cid": item} for item in ITEMS]
    ledger = submitted(items)
    ledger.failed(ended({"t0": {"a:1": "gone"}}))
    assert batches(stored(ledger), items=items) == {0: items[:3]}


def test_after_a_repetition_the_new_stream_task_counts() -> None:
    ledger = stored(submitted())
    ledger.failed(ended({"t1": {}}))
    (batch,) = to_send(ledger)
    ledger.sending(batch)
    ledger.accepted(batch, "new", {})
    ledger = stored(ledger)
    assert ledger.task_ids == ["t0", "new", "t2"]
    assert batches(ledger) == {}


def test_a_repetition_that_stream_refused_is_repeated() -> None:
    ledger = stored(submitted())
    ledger.failed(ended({"t1": {"a:4": "gone"}}))
    (batch,) = to_send(ledger)
    ledger.refused(batch, ledger.sending(batch))
    assert batches(stored(ledger)) == {1: ["a:4"]}


def test_of_a_part_that_failed_again_only_the_part_is_sent_again() -> None:
    ledger = stored(submitted())
    ledger.failed(ended({"t1": {"a:3": "gone", "a:4": "gone"}}))
    (batch,) = to_send(ledger)
    ledger.sending(batch)
    ledger.accepted(batch, "new", {})
    ledger = stored(ledger)
    ledger.failed(ended({"new": {}}))
    assert batches(stored(ledger)) == {1: ["a:3", "a:4"]}
    ledger.failed(ended({"new": {"a:3": "gone"}}))
    assert batches(stored(ledger)) == {1: ["a:3"]}


def test_a_part_that_may_have_arrived_stays_a_part() -> None:
    ledger = stored(submitted())
    ledger.failed(ended({"t1": {"a:4": "gone"}}))
    (batch,) = to_send(ledger)
    ledger.sending(batch)
    assert batches(stored(ledger)) == {}
    assert batches(stored(ledger), resubmit=True) == {1: ["a:4"]}


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        (["a:x", *ITEMS[1:]], 0),
        (ITEMS[1:], 0),
        ([ITEMS[1], ITEMS[0], *ITEMS[2:]], 0),
        ([*ITEMS[:4], "a:x", *ITEMS[5:]], 1),
        ([*ITEMS, "a:x"], 2),
        (ITEMS[:7], 2),
        (ITEMS[:6], 2),
        (ITEMS[:3], 1),
    ],
)
def test_other_items_than_those_of_an_earlier_try_are_refused(changed: list[str], place: int) -> None:
    with pytest.raises(StreamSubmissionException, match=f"^Batch {place + 1} is not the one") as raised:
        list(to_send(stored(submitted()), changed))
    assert raised.value.batches == [place]
    assert "Clear the Airflow task to start over" in str(raised.value)


# -- work that Stream does at once -------------------------------------------------------------------------


def done_at_once() -> Ledger:
    ledger = Ledger()
    for batch in to_send(ledger):
        ledger.sending(batch)
        ledger.accepted(batch, None, {"a:4": "gone"} if batch.index == 1 else {})
    return ledger


def test_what_was_done_at_once_has_no_stream_task_and_is_not_sent_again() -> None:
    ledger = stored(done_at_once())
    assert ledger.task_ids == []
    assert ledger.refused_items == {"a:4": "gone"}
    assert batches(ledger) == {}


def test_items_may_fail_at_once_although_there_is_a_stream_task() -> None:
    ledger = Ledger()
    for batch in to_send(ledger):
        ledger.sending(batch)
        ledger.accepted(batch, f"task-{batch.index}", {"a:4": "gone"} if batch.index == 1 else {})
    ledger = stored(ledger)
    assert ledger.refused_items == {"a:4": "gone"}
    assert ledger.refused_of_tasks == {"task-1": {"a:4": "gone"}}
    assert "task-1" in ledger.task_ids
    assert batches(ledger) == {}
    assert ledger.failed_at_once() == [1]
    assert batches(ledger) == {1: ["a:4"]}


def test_items_that_failed_at_once_are_sent_again_when_they_count_as_failed() -> None:
    ledger = stored(done_at_once())
    assert ledger.failed_at_once() == [1]
    ledger = stored(ledger)
    assert batches(ledger) == {1: ["a:4"]}
    (batch,) = to_send(ledger)
    ledger.sending(batch)
    assert ledger.refused_items == {}
    ledger.accepted(batch, None, {})
    assert ledger.refused_items == {}


def test_items_that_failed_inside_a_stream_task_were_not_refused_at_once() -> None:
    ledger = submitted()
    ledger.failed(ended({"t1": {"a:4": "gone"}}))
    assert ledger.refused_items == {}
    assert ledger.failed_at_once() == []


# -- names and storage -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("items", "name"), [(["a:1"], "'a:1'"), (["a:1", "a:2", "a:3"], "3 items from 'a:1' to 'a:3'")]
)
def test_a_batch_is_named_by_its_first_and_last_item(items: list[str], name: str) -> None:
    assert Batch(0, items, "", len(items)).describe() == name


def test_the_name_of_a_batch_is_short_whatever_is_in_it() -> None:
    assert len(Batch(0, [{"cid": "x" * 9999}] * 2, "", 2).describe()) < 150


def test_entries_are_plain_json_of_a_hundred_odd_bytes() -> None:
    dumped = submitted().dump(0, 2)
    assert len(dumped) == 2
    assert dumped[0].keys() == {
        "digest",
        "size",
        "state",
        "task_id",
        "failed_items",
        "part",
        "not_before",
    }
    assert dumped[0]["state"] == State.ACCEPTED.value
    assert all(len(json.dumps(entry)) < 200 for entry in dumped)


# -- whatever happens --------------------------------------------------------------------------------------


class World:
    """Stream and Airflow, as far as the ledger meets them: what arrived, and whether it may arrive again."""

    EVENTS = (
        *["accepted"] * 6,
        *["refused", "no answer, but arrived", "no answer, and not arrived"],
        *["killed before", "killed behind"],
    )

    def __init__(self, data: st.DataObject, items: list[str], resubmit: bool) -> None:
        self.draw = data.draw
        self.items = items
        self.resubmit = resubmit
        self.may_arrive = dict.fromkeys(items, True)
        self.arrived: set[str] = set()
        self.running: dict[str, list[str]] = {}
        self.settled: dict[int, set[str]] = {}
        self.count = 0
        self.ledger = Ledger()

    def arrive(self, batch: Batch) -> None:
        for item in batch.items:
            assert isinstance(item, str)
            assert self.may_arrive[item], f"{item} was submitted twice"
            self.may_arrive[item] = False
            self.arrived.add(item)

    def one_try(self) -> bool:
        """Carry out one try; return whether it went through."""
        self.ledger = stored(self.ledger)
        if self.resubmit:
            for index in self.ledger.uncertain:
                self.may_arrive.update(dict.fromkeys(self.items[index * CAP : (index + 1) * CAP], True))
                for item in self.settled.get(index, ()):
                    self.may_arrive[item] = False
        for batch in self.ledger.to_send(iter(self.items), CAP, resubmit_uncertain=self.resubmit):
            # What is not repeated of a batch has been completed, and must never arrive again.
            whole = self.items[batch.index * CAP : (batch.index + 1) * CAP]
            self.settled[batch.index] = set(whole) - set(map(str, batch.items))
            before = self.ledger.sending(batch)
            match self.draw(st.sampled_from(self.EVENTS), label=f"batch {batch.index}"):
                case "accepted":
                    self.arrive(batch)
                    task_id = f"t{self.count}"
                    self.count += 1
                    self.running[task_id] = [str(item) for item in batch.items]
                    self.ledger.accepted(batch, task_id, {})
                case "refused":
                    self.ledger.refused(batch, before)
                    return False
                case "no answer, but arrived":
                    self.arrive(batch)
                    self.ledger.doubtful(batch)
                    return False
                case "no answer, and not arrived":
                    self.ledger.doubtful(batch)
                    return False
                case "killed before":
                    return False
                case "killed behind":
                    self.arrive(batch)
                    return False
        return True

    def let_tasks_fail(self) -> None:
        failed: dict[str, dict[str, str]] = {}
        for task_id in self.ledger.task_ids:
            items = self.running[task_id]
            match self.draw(st.sampled_from(["completed", "completed", "failed", "some items failed"])):
                case "failed":
                    failed[task_id] = {}
                    self.may_arrive.update(dict.fromkeys(items, True))
                case "some items failed":
                    some = self.draw(st.lists(st.sampled_from(items), min_size=1, unique=True))
                    failed[task_id] = dict.fromkeys(some, "gone")
                    self.may_arrive.update(dict.fromkeys(some, True))
        self.ledger.failed(ended(failed))


@given(data=st.data(), size=st.integers(1, 10), resubmit=st.booleans())
def test_whatever_happens_no_item_arrives_twice_and_none_is_forgotten(
    data: st.DataObject, size: int, resubmit: bool
) -> None:
    world = World(data, [f"a:{number}" for number in range(size)], resubmit)
    for _ in range(data.draw(st.integers(1, 6))):
        if not world.one_try():
            continue
        uncertain = {
            item for index in world.ledger.uncertain for item in world.items[index * CAP : (index + 1) * CAP]
        }
        assert uncertain | world.arrived == set(world.items)
        if resubmit:
            assert not uncertain
        world.let_tasks_fail()
