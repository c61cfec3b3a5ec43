"""``airflow stream``, as ``airflow`` runs it, against the sandbox."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import airflow
import pytest

from airflow_provider_streamtasks.protocol import wait
from airflow_provider_streamtasks.sandbox import SandboxControl
from tests.conftest import StartTask

ROOT = Path(__file__).parents[2]
UNKNOWN = "7586fa0d-dc8d-4f6f-be2d-f952d0e26167"


def run(*args: str) -> Any:
    """Run a command in this process, and return its exit status and what it printed."""
    from contextlib import redirect_stderr, redirect_stdout
    from io import StringIO

    from airflow.cli import cli_parser
    from airflow.cli.cli_config import DefaultHelpParser

    from airflow_provider_streamtasks.cli.definition import get_cli_commands

    # Not Airflow's whole parser: before 3.2 it asks no provider.
    parser = DefaultHelpParser()
    for command in get_cli_commands():
        cli_parser._add_command(parser.add_subparsers(), command)
    out, err = StringIO(), StringIO()
    parsed = parser.parse_args(["stream", *args])
    status: Any = 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            parsed.func(parsed)
        except SystemExit as end:
            status = end.code
    return status, out.getvalue(), err.getvalue()


def test_airflow_takes_them_since_32() -> None:
    from airflow.cli import cli_parser

    asks_providers = tuple(map(int, airflow.__version__.split(".")[:2])) >= (3, 2)
    assert ("stream" in cli_parser.ALL_COMMANDS_DICT) is asks_providers


def test_importing_the_definition_imports_nothing_heavy() -> None:
    code = (
        "import sys, airflow.cli.cli_config; before = set(sys.modules)\n"
        "import airflow_provider_streamtasks.cli.definition as d; d.get_cli_commands()\n"
        "print(sorted(set(sys.modules) - before - {'airflow_provider_streamtasks'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == str(
        [
            "airflow_provider_streamtasks.cli",
            "airflow_provider_streamtasks.cli.definition",
        ]
    )


class TestTaskGet:
    def test_it_shows_how_a_task_stands(self, start_task: StartTask) -> None:
        task_id = start_task(pending=0, running=0)
        status, out, _ = run("task", "get", task_id, "-o", "json")
        (shown,) = json.loads(out)
        assert status == 0
        assert (shown["task_id"], shown["status"]) == (task_id, "completed")

    def test_a_result_is_not_shown(self, start_task: StartTask) -> None:
        task_id = start_task(pending=0, running=0, result={"url": "https://x.example/f?Signature=secret"})
        assert "secret" not in run("task", "get", task_id, "-o", "json")[1]

    def test_an_unknown_task_is_a_sentence(self, connection: None) -> None:
        status, out, _ = run("task", "get", UNKNOWN)
        assert "Stream answered 404" in status
        assert out == ""

    def test_an_unknown_connection_is_a_sentence(self, connection: None) -> None:
        assert "no connection 'nope'" in run("task", "get", UNKNOWN, "--conn-id", "nope")[0]


class TestTaskWait:
    def test_completed_is_0(self, start_task: StartTask) -> None:
        ids = [start_task(), start_task("messaging:b")]
        status, out, _ = run("task", "wait", *ids, "--timeout", "30", "-o", "json")
        assert status == 0
        assert [each["status"] for each in json.loads(out)] == ["completed", "completed"]

    def test_failed_is_3_and_says_why(self, start_task: StartTask) -> None:
        task_id = start_task(end="failed", error={"type": "storage_error", "description": "no store"})
        status, out, _ = run("task", "wait", task_id, "-o", "json")
        assert status == 3
        assert json.loads(out)[0]["error"] == "no store"

    def test_time_up_is_4(self, start_task: StartTask) -> None:
        status, out, _ = run("task", "wait", start_task(end="never"), "--timeout", "0", "-o", "json")
        assert status == 4
        assert json.loads(out)[0]["status"] == "not finished"

    def test_an_unknown_task_is_a_sentence(self, connection: None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(wait, "UNKNOWN_TASK_GRACE", 0.5)
        assert "Stream answered 404" in run("task", "wait", UNKNOWN)[0]

    @pytest.mark.parametrize("bad", ["", "..", "None"])
    def test_what_is_no_id_is_a_sentence(self, bad: str, connection: None, control: SandboxControl) -> None:
        assert run("task", "wait", UNKNOWN, bad)[0].startswith(f"stream_task_id holds {bad!r}: ")
        assert control.journal() == []

    def test_a_timeout_below_0_is_a_sentence(self, connection: None) -> None:
        assert "--timeout is -1" in run("task", "wait", UNKNOWN, "--timeout", "-1")[0]


class TestConnection:
    def test_right_is_0(self, connection: None) -> None:
        assert run("connection", "test")[:2] == (0, "Stream accepted the key and the secret.\n")

    def test_wrong_is_a_sentence(self, set_connection: Any) -> None:
        set_connection(password="0" * 64)
        status, out, _ = run("connection", "test")
        assert isinstance(status, str)
        assert "401" in status
        assert out == ""
