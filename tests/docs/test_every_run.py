"""What the reference shows works in every run, also in those without a logical date: of assets, by hand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from airflow.sdk import DAG
from airflow.sdk.api.datamodels._generated import DagRun, TIRunContext
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

from airflow_provider_streamtasks.transfers.export import StreamExportToObjectStorageOperator
from tests.airflow_names import NO_PARTITION

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = [
    ROOT / "README.md",
    *(ROOT / "docs").rglob("*.rst"),
    *(ROOT / "airflow_provider_streamtasks").rglob("*.py"),
]
NOON = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)


def context(logical_date: datetime | None, **arguments: Any) -> Any:
    """Return the context of an Airflow task that stores a file, as Airflow makes it."""
    run = DagRun.model_validate(
        {
            "dag_id": "dag",
            "run_id": "asset_triggered__2026-01-31",
            "logical_date": logical_date,
            "data_interval_start": logical_date,
            "data_interval_end": logical_date,
            "run_after": NOON,
            "start_date": NOON,
            "end_date": None,
            "run_type": "asset_triggered",
            "state": "running",
            "consumed_asset_events": [],
            **NO_PARTITION,
        }
    )
    with DAG("dag", schedule=None):
        task = StreamExportToObjectStorageOperator(
            task_id="store", **{"stream_task_id": "x", "destination": "/data", **arguments}
        )
    server = TIRunContext.model_construct(dag_run=run, max_tries=0, task_reschedule_count=0)
    ids: dict[str, Any] = {"id": uuid4(), "dag_id": "dag", "task_id": "store", "run_id": run.run_id}
    ti = RuntimeTaskInstance.model_construct(
        **ids, try_number=1, map_index=-1, task=task, _ti_context_from_server=server
    )
    return ti.get_template_context()


def of_the_date() -> set[str]:
    """Return the names that a template has only where the run has a logical date."""
    return set(context(NOON)) - set(context(None))


def templates() -> Iterator[tuple[str, str]]:
    for path in REFERENCE:
        for template in re.findall(r"\{\{.*?\}\}", path.read_text(encoding="utf-8")):
            yield path.name, template


def test_airflow_has_names_that_are_missing_in_some_runs() -> None:
    assert {"ds", "ts", "logical_date", "data_interval_start"} <= of_the_date()


def test_no_template_of_the_reference_needs_a_logical_date() -> None:
    names = of_the_date()
    needing = [
        (page, template)
        for page, template in templates()
        # The word after a bar is a filter, which Airflow has in every run; that after a dot is an attribute.
        if names & set(re.findall(r"(?<![|.\w])\w+", re.sub(r"\|\s*\w+", "", template)))
    ]
    assert needing == []
    assert len(list(templates())) > 20


def test_no_function_of_the_reference_asks_for_a_logical_date() -> None:
    parameters = rf"def \w+\([^)]*\b({'|'.join(of_the_date())})\b\s*[:=,)]"
    pages = [path for path in REFERENCE if path.suffix in (".md", ".rst")]
    assert [page.name for page in pages if re.search(parameters, page.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize("logical_date", [None, NOON])
def test_the_folder_of_the_reference_is_made_in_every_run(logical_date: datetime | None) -> None:
    text = (ROOT / "docs" / "transfers.rst").read_text(encoding="utf-8")
    (destination,) = re.findall(r'destination="(/data/exports/\{\{.*?)"', text)
    made = context(logical_date, destination=destination)
    made["task"].render_template_fields(made)
    assert made["task"].destination == "/data/exports/2026-01-31/"
