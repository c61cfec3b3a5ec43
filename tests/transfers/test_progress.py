from __future__ import annotations

import pytest

from airflow_provider_streamtasks.transfers.progress import Progress, in_units
from tests.conftest import Logs

MIB = 2**20


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1024, "1.0 KiB"),
        (1.5 * MIB, "1.5 MiB"),
        (2**31, "2.0 GiB"),
        (2**41, "2.0 TiB"),
    ],
)
def test_units(count: float, text: str) -> None:
    assert in_units(count) == text


def test_the_log_gives_rate_and_time_left_every_ten_seconds(
    logs: Logs, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    now = 0.0
    progress = Progress("file", clock=lambda: now)
    for second in range(1, 26):
        now = float(second)
        progress.advance(2 * MIB, second * 2 * MIB, 100 * MIB)
    assert [line for line in logs.lines if line.startswith("file: ")] == [
        "file: 20.0 MiB of 100.0 MiB (20 %), 2.0 MiB/s, about 40 s left",
        "file: 40.0 MiB of 100.0 MiB (40 %), 2.0 MiB/s, about 30 s left",
    ]


def test_a_file_of_unknown_length(logs: Logs, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    now = 0.0
    progress = Progress("file", clock=lambda: now)
    now = 10.0
    progress.advance(MIB, MIB, None)
    assert [line for line in logs.lines if line.startswith("file: ")] == ["file: 1.0 MiB, 102.4 KiB/s"]
