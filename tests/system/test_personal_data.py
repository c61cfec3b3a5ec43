"""What a real Airflow keeps of people whom an operation was about."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.system.places import XCOMS, texts
from tests.system.real_stream import PATIENCE, RealStream

pytestmark = pytest.mark.system

MEBIBYTE = 1024 * 1024
PERSONAL = re.compile(
    r"Springfield|\+1-555-01|"
    r"Dijkstra|Hopper|Johnson|Lamarr|Liskov|Lovelace|Thompson|Turing|Vaughan"
)
"""What the names, addresses and phone numbers have in common that the sandbox gives to users."""


@dataclass
class Left:
    """What runs left behind.

    :param runs: DAG -> run id
    :param grown: bytes by which the metadata database has grown with 100,000 deactivated users
    :param places: the logs and tables in which a name, an address or a phone number stands
    """

    runs: dict[str, str]
    grown: int
    places: list[str]


def size(real: RealStream) -> int:
    """Bytes of the metadata database that are in use."""
    with sqlite3.connect(real.airflow.database) as database:
        pages, free, page = (
            database.execute(f"pragma {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
    return int((pages - free) * page)


def personal(real: RealStream) -> Iterator[str]:
    yield from dict.fromkeys(place for place, text in texts(real) if PERSONAL.search(text))


@pytest.fixture(scope="module")
def left(real: RealStream) -> Left:
    for operation in ("DeactivateUsers", "GetTask"):
        real.small_budget.budget(operation, limit=None)
    before = size(real)
    runs = {"people": real.airflow.trigger("people")}
    assert real.airflow.wait_for_run("people", runs["people"], timeout=PATIENCE) == "success"
    grown = size(real) - before
    runs["few_people"] = real.airflow.trigger("few_people")
    assert real.airflow.wait_for_run("few_people", runs["few_people"], timeout=PATIENCE) == "success"
    return Left(runs, grown, list(personal(real)))


def xcoms(real: RealStream, dag_id: str, run_id: str, task_id: str) -> dict[str, Any]:
    """The XComs of an Airflow task: key -> value; extra links left out."""
    keys = [entry["key"] for entry in real.airflow.xcom_entries(dag_id, run_id, task_id)]
    return {
        key: real.airflow.xcom(dag_id, run_id, task_id, key) for key in keys if not key.startswith("_link")
    }


def test_of_a_hundred_thousand_people_at_most_a_mebibyte_is_left(real: RealStream, left: Left) -> None:
    print(f"the metadata database has grown by {left.grown:,} bytes")
    assert 0 < left.grown <= MEBIBYTE


def test_no_name_no_address_and_no_phone_number_is_anywhere(left: Left) -> None:
    assert left.places == []


def test_what_is_too_large_is_a_summary_whoever_ends_the_airflow_task(real: RealStream, left: Left) -> None:
    run_id = left.runs["people"]
    summary = {"summary": {"users": 100_000, "results": 1000}}
    assert xcoms(real, "people", run_id, "end_in_triggerer") == {"return_value": summary}
    assert xcoms(real, "people", run_id, "end_on_worker") == {"return_value": summary}
    assert real.airflow.xcom("people", run_id, "deactivate", "result") == summary
    for task_id in ("end_in_triggerer", "end_on_worker", "deactivate"):
        assert "larger than max_result_size (65,536 bytes)" in real.airflow.logs("people", run_id, task_id)
    assert real.airflow.worker_starts("people", run_id, "end_in_triggerer") == 0


def test_of_a_few_the_ids_are_left_whoever_ends_the_airflow_task(real: RealStream, left: Left) -> None:
    run_id = left.runs["few_people"]
    ids = {"users": {"count": 2, "ids": ["joe", "ann"]}}
    for task_id in ("ids", "ids_by_worker"):
        assert xcoms(real, "few_people", run_id, task_id) == {"return_value": ids}
        assert "the XCom 'return_value' has their ids alone" in real.airflow.logs(
            "few_people", run_id, task_id
        )
    assert real.airflow.worker_starts("few_people", run_id, "ids") == 0


def test_nothing_is_left_where_nothing_is_wanted(real: RealStream, left: Left) -> None:
    run_id = left.runs["few_people"]
    assert xcoms(real, "few_people", run_id, "nothing") == {}
    assert xcoms(real, "few_people", run_id, "unpushed") == {}
    # It came back from the triggerer with these.
    assert list(xcoms(real, "few_people", run_id, "deactivate")) == ["task_ids"]


def test_people_are_in_the_xcom_where_they_are_asked_for(real: RealStream, left: Left) -> None:
    """Without this, it would prove nothing that they were not found."""
    run_id = real.airflow.trigger("people_on_demand")
    assert real.airflow.wait_for_run("people_on_demand", run_id, timeout=PATIENCE) == "success"
    users = real.airflow.xcom("people_on_demand", run_id, "wait")["users"]
    assert [user["id"] for user in users] == ["joe", "ann"]
    assert all(PERSONAL.search(user["name"]) and PERSONAL.search(str(user["custom"])) for user in users)
    assert list(personal(real)) == [XCOMS]
