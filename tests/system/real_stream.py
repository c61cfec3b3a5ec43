"""A real Airflow whose connections lead to a sandbox."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_provider_streamtasks.sandbox import SandboxControl
from demo.local_airflow import LocalAirflow
from demo.local_sandbox import LocalSandbox

SIGNATURE = "Expires=1790000000&Signature=0123456789abcdef-signed-by-stream"

FATES: list[dict[str, Any]] = [
    {"operation": "*", "pending": 1, "running": 5},
    {
        "operation": "*",
        "item": "messaging:unlucky-*",
        "end": "failed",
        "error": {"type": "storage_error", "description": "message store down", "stacktrace": "at shard 7"},
    },
    {"operation": "*", "item": "messaging:endless-*", "end": "never"},
    {"operation": "*", "item": "messaging:slow-*", "running": 15},
    {"operation": "CreateImportV2Task", "end": "never"},
    {"operation": "*", "item": "messaging:half", "failed_items": {"messaging:half": "half of it"}},
    {
        "operation": "*",
        "item": "messaging:signed",
        "result": {"url": f"https://exports.example.com/channels.json?{SIGNATURE}"},
    },
]


@dataclass
class RealStream:
    """
    A real Airflow whose default connection leads to a sandbox.

    Its connection ``small_budget`` leads to another one, which takes 15 submissions in 15 seconds.
    """

    airflow: LocalAirflow
    sandbox: LocalSandbox
    small_budget: SandboxControl

    def task(self, dag_id: str, run_id: str, task_id: str) -> dict[str, Any]:
        return self.airflow.task_instance(dag_id, run_id, task_id)

    def lasted(self, dag_id: str, run_id: str, task_id: str) -> float:
        """Return the seconds between an Airflow task's first start and its end."""
        task = self.task(dag_id, run_id, task_id)
        start, end = (datetime.fromisoformat(task[name]) for name in ("start_date", "end_date"))
        return (end - start).total_seconds()
