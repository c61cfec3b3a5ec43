from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from airflow_provider_streamtasks.sandbox import Sandbox, SandboxControl
from tests.sandbox.raw_client import RawClient

COMMAND = [
    sys.executable,
    "-m",
    "airflow_provider_streamtasks.sandbox",
    "--api-key",
    "key",
    "--api-secret",
    "a secret of more than thirty-two bytes",
    "--port",
    "0",
]


@contextmanager
def started(*options: str) -> Iterator[tuple[subprocess.Popen[str], Sandbox]]:
    process = subprocess.Popen(
        [*COMMAND, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("Stream sandbox listening on http://127.0.0.1:")
        url = line.split()[-1]
        yield process, Sandbox(url, "key", COMMAND[6], SandboxControl(url))
    finally:
        process.kill()
        process.communicate()


def test_strict_refuses_to_export_channels_that_are_not_there() -> None:
    with started("--strict") as (_, sandbox):
        raw = RawClient(sandbox)
        sandbox.control.add_channel("messaging:a")
        statuses = [
            raw.send("POST", "/export_channels", {"channels": [{"cid": cid}]}).status
            for cid in ("messaging:a", "messaging:b")
        ]
        assert statuses == [201, 404]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_cleanly(number: signal.Signals) -> None:
    with started() as (process, sandbox):
        RawClient(sandbox).delete_channels()
        process.send_signal(number)
        output, errors = process.communicate(timeout=20)
        assert (process.returncode, output, errors) == (0, "", "")


def test_fates_window_and_seed_can_be_given(tmp_path: Path) -> None:
    fates = tmp_path / "fates.json"
    fates.write_text(
        json.dumps([{"operation": "DeleteChannels", "pending": 0, "running": 0, "end": "failed"}])
    )
    with started("--fates", str(fates), "--window", "86400", "--seed", "7") as (_, sandbox):
        raw = RawClient(sandbox)
        reply = raw.delete_channels()
        assert int(reply.headers["x-ratelimit-reset"]) % 86400 == 0
        assert raw.get_task(reply.json["task_id"]).json["status"] == "failed"


def test_faults_and_budgets_can_be_given(tmp_path: Path) -> None:
    faults, budgets = tmp_path / "faults.json", tmp_path / "budgets.json"
    faults.write_text('[{"operation": "GetTask", "kind": "unavailable"}]')
    budgets.write_text('[{"operation": "DeleteChannels", "limit": 1, "window": 86400}]')
    with started("--faults", str(faults), "--budgets", str(budgets)) as (_, sandbox):
        raw = RawClient(sandbox)
        assert [raw.delete_channels().status for _ in range(2)] == [201, 429]
        assert raw.get_task("x").status == 503


def refused(*options: str) -> str:
    done = subprocess.run([*COMMAND, *options], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    return done.stderr


def test_only_loopback_addresses_are_served() -> None:
    assert "loopback addresses only, not on 0.0.0.0" in refused("--host", "0.0.0.0")


@pytest.mark.parametrize("option", ["--fates", "--faults", "--budgets"])
def test_rules_that_make_no_sense(tmp_path: Path, option: str) -> None:
    rules = tmp_path / "rules.json"
    rules.write_text('[{"operation": "Nothing", "kind": "delay"}]')
    assert "there is no operation 'Nothing' here" in refused(option, str(rules))


def test_it_loads_neither_airflow_nor_requests() -> None:
    code = (
        "import sys, airflow_provider_streamtasks.sandbox.__main__;"
        "print([name for name in ('airflow', 'requests') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
