"""A real Airflow whose connections lead to a sandbox."""

from __future__ import annotations

import html
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from airflow_provider_streamtasks.sandbox import SandboxControl
from local_stack.airflow import LocalAirflow
from local_stack.mail import LocalMail
from local_stack.sandbox import LocalSandbox

START_TIMEOUT = 400.0
"""Seconds for the start of an Airflow, beside which others start, and unit tests run."""

PATIENCE = 900.0
"""Seconds for what happens anyway: a worker may fail to start, and retries are minutes apart."""

ALERTS = "messaging:alerts"
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
        "item": "messaging:frozen-*",
        "failed_items": {"messaging:frozen-*": "the channel is frozen"},
    },
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

    Its connection ``small_budget`` leads to another one, which takes 15 submissions in 30 seconds. Its
    connection ``smtp_default`` leads to a mail server.

    :param folder: where the DAGs that store something do so, in a folder of their own.
    """

    airflow: LocalAirflow
    sandbox: LocalSandbox
    small_budget: SandboxControl
    mail: LocalMail
    folder: Path

    def task(self, dag_id: str, run_id: str, task_id: str) -> dict[str, Any]:
        return self.airflow.task_instance(dag_id, run_id, task_id)

    def lasted(self, dag_id: str, run_id: str, task_id: str) -> float:
        """Return the seconds between an Airflow task's first start and its end."""
        task = self.task(dag_id, run_id, task_id)
        start, end = (datetime.fromisoformat(task[name]) for name in ("start_date", "end_date"))
        return (end - start).total_seconds()

    def posted(self, dag_id: str, run_id: str) -> dict[str, str]:
        """Return the alerts in the channel about a run: Airflow task id -> text."""
        alerts = [message["text"] for message in self.sandbox.control.messages(ALERTS)]
        return {
            alert.partition(" ")[0].removeprefix(f"{dag_id}."): alert
            for alert in alerts
            if alert.startswith(f"{dag_id}.") and run_id in alert
        }

    def mailed(self, dag_id: str, run_id: str) -> dict[str, EmailMessage]:
        """Return the mails about a run: Airflow task id -> message."""
        return {
            message["subject"].partition(" ")[0].removeprefix(f"{dag_id}."): message
            for message in self.mail.messages
            if message["subject"].startswith(f"{dag_id}.") and run_id in text_of(message)
        }


def text_of(message: EmailMessage) -> str:
    """Return what a mail says, without its markup."""
    body = message.get_body()
    return html.unescape(body.get_content()) if body else ""
