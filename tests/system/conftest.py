"""One real Airflow and one sandbox for the system tests of a process."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow import sdk

from airflow_provider_streamtasks.sandbox import running_sandbox
from local_stack.airflow import LocalAirflow
from local_stack.mail import local_mail
from local_stack.sandbox import local_sandbox
from tests.system.real_stream import ALERTS, FATES, PATIENCE, START_TIMEOUT, RealStream

collect_ignore = [] if hasattr(sdk, "LoopDecision") else ["test_loops.py"]  # before Airflow 3.4

REPOSITORY = Path(__file__).parents[2]

ORDINARY = (
    "delete_channels_and_wait",
    "delete_channels_with_alert",
    "delete_channels_with_deadline",
    "retries_do_not_help",
    "result_with_signed_url",
    "waits_by_itself",
    "broken_connections",
)


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealStream]:
    folder = tmp_path_factory.mktemp("system")
    dags = folder / "dags"
    shutil.copytree(REPOSITORY / "dags", dags)
    shutil.copytree(Path(__file__).parent / "dags", dags, dirs_exist_ok=True)
    fates = folder / "fates.json"
    fates.write_text(json.dumps(FATES))
    with (
        local_sandbox(folder / "sandbox.log", fates) as sandbox,
        running_sandbox() as skewed,
        running_sandbox(window=30) as small,
        local_mail() as mail,
    ):
        small.control.budget("DeleteChannels", limit=15)
        sandbox.control.add_user("airflow")
        sandbox.control.add_channel(ALERTS)
        skewed.control.fault("api_error", status=401, code=42, message="token used before issue at (iat)")
        env = {
            "PYTHONPATH": str(REPOSITORY),
            "AIRFLOW__CORE__AUTH_MANAGER": "tests.ui.guarded.GuardedAuthManager",
            "AIRFLOW_CONN_STREAM_DEFAULT": sandbox.connection,
            "AIRFLOW_CONN_WRONG_KEY": _connection(sandbox.url, "no-such-key", sandbox.api_secret),
            "AIRFLOW_CONN_WRONG_SECRET": _connection(sandbox.url, sandbox.api_key, "0" * 64),
            "AIRFLOW_CONN_UNREACHABLE": _connection("http://127.0.0.1:1", "key", "0" * 64),
            "AIRFLOW_CONN_SMALL_BUDGET": _connection(
                small.url, small.api_key, small.api_secret, rate_limit_share=1
            ),
            "AIRFLOW_CONN_SKEWED_CLOCK": _connection(skewed.url, skewed.api_key, skewed.api_secret),
            "AIRFLOW_CONN_SMTP_DEFAULT": mail.connection,
            "AIRFLOW_VAR_STREAM_EXPORTS": f"file://{folder}/stream",
            "AIRFLOW_VAR_STREAM_GDPR": f"file://{folder}/gdpr",
        }
        with LocalAirflow(dags, env=env, home=folder / "airflow", start_timeout=START_TIMEOUT) as airflow:
            yield RealStream(airflow, sandbox, small.control, mail, folder)


@pytest.fixture(scope="session")
def runs(real: RealStream) -> dict[str, str]:
    """Run the ordinary DAGs side by side, and return DAG -> run id once all have ended."""
    runs = {dag_id: real.airflow.trigger(dag_id) for dag_id in ORDINARY}
    for dag_id, run_id in runs.items():
        real.airflow.wait_for_run(dag_id, run_id, timeout=PATIENCE)
    return runs


def _connection(host: str, key: str, secret: str, **extra: object) -> str:
    fields = {"conn_type": "stream", "host": host, "login": key, "password": secret, "extra": extra}
    return json.dumps(fields)
