"""``StreamChatNotifier`` as each callback that is not about a failure."""

from __future__ import annotations

import time

import pytest

from tests.system.real_stream import ALERTS, RealStream

pytestmark = pytest.mark.system

DAG = "callbacks"
PATIENCE = 120.0


@pytest.fixture(scope="module")
def run_id(real: RealStream) -> str:
    run_id = real.airflow.trigger(DAG)
    assert real.airflow.wait_for_run(DAG, run_id, timeout=240) == "success"
    return run_id


@pytest.fixture(scope="module")
def told(real: RealStream, run_id: str) -> list[list[str]]:
    """The lines of each message about the run, the one of the run itself among them."""
    deadline = time.monotonic() + PATIENCE
    while True:
        texts = [message["text"] for message in real.sandbox.control.messages(ALERTS)]
        found = [text.splitlines() for text in texts if text.startswith(DAG) and run_id in text]
        # The callback of the run is the DAG processor's, which takes its time.
        if any(lines[0].startswith(f"{DAG} ") for lines in found):
            return found
        assert time.monotonic() < deadline, f"the run's callback has posted nothing: {found}"
        time.sleep(0.5)


def test_each_callback_says_once_what_happened(told: list[list[str]], run_id: str) -> None:
    assert sorted(lines[0] for lines in told) == [
        f"callbacks succeeded (run {run_id})",
        f"callbacks.deletes began (run {run_id}, try 1 of 1)",
        f"callbacks.deletes succeeded (run {run_id}, try 1 of 1)",
        f"callbacks.retries failed and will be tried again (run {run_id}, try 1 of 2): ValueError: not yet",
        f"callbacks.skips was skipped (run {run_id}, try 1 of 1)",
    ]


def test_nobody_is_sent_to_clear_anything(told: list[list[str]]) -> None:
    advice = {lines[0].partition(" (")[0]: line for lines in told for line in lines if "What to do:" in line}
    assert advice.pop("callbacks.retries failed and will be tried again").startswith(
        "What to do: Wait: Airflow tries it again, not before "
    )
    assert advice == {
        "callbacks succeeded": "What to do: Nothing.",
        "callbacks.deletes began": "What to do: Nothing.",
        "callbacks.deletes succeeded": "What to do: Nothing.",
        "callbacks.skips was skipped": (
            "What to do: Nothing, unless it should have run: the log says why it was skipped."
        ),
    }
