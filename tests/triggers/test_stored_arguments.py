"""Triggers outlive an upgrade in Airflow's database: what one release stored, the next ones must take."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

FOLDER = "airflow_provider_streamtasks.triggers."
WAIT = {
    "stream_conn_id": "stream_default",
    "stream_task_ids": ["11111111-2222-4333-8444-555555555555"],
    "started_at": 1_790_000_000.0,
    "timeout": 60.0,
    "poll_interval": 1.0,
    "max_poll_interval": 30.0,
}
ENDS = {
    "end": True,
    "do_xcom_push": True,
    "push_result": None,
    "fail_on_partial": False,
    "redact_result_urls": False,
}
SENSOR = {
    **WAIT,
    **ENDS,
    "keep_on_errors": False,
    "started_at": None,
    "stream_task_ids": [],
    "xcom": {"task_id": "delete", "key": "return_value"},
    "single": False,
}
# Class path, arguments as they were stored, and what is another one now. A later release adds a row where it
# stores something else, and never takes one away.
STORED: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("task.StreamTaskTrigger", {**WAIT, "keep_on_errors": False}, {}),
    ("task.StreamTaskTrigger", {**WAIT, **ENDS, "result_key": "result", "single": None}, {}),
    ("sensor.StreamSensorTrigger", {**SENSOR, "push_result": True, "max_result_size": 9}, {}),
    (
        "data_import.StreamImportTrigger",
        {
            **WAIT,
            "keep_on_errors": False,
            "completed_states": [2],
            "failed_states": [3],
            "cancel_on_kill": True,
        },
        {},
    ),
]


@pytest.mark.parametrize(("path", "arguments", "now"), STORED)
def test_a_wait_that_an_earlier_release_stored_goes_on(
    path: str, arguments: dict[str, Any], now: dict[str, Any]
) -> None:
    module, _, name = (FOLDER + path).rpartition(".")
    trigger = getattr(import_module(module), name)(**arguments)
    stored_now = trigger.serialize()
    assert stored_now[0] == FOLDER + path
    assert {key: stored_now[1][key] for key in arguments | now} == arguments | now
