"""``python -m tests.benchmarks.tables``: make the picture and the tables of ``docs/waiting.rst``."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import log10
from pathlib import Path
from typing import Any

from airflow_provider_streamtasks.protocol.poll_schedule import usual_interval
from tests.wait_terms import wait_terms

DOCS = Path(__file__).parents[2] / "docs" / "generated"
WIDTH, HEIGHT, MARGIN = 640, 300, 55
DURATIONS = [2 * 10 ** (i / 20) for i in range(int(20 * log10(3600 * 6 / 2)) + 1)]
TERMS = wait_terms()
TICKS = {2: "2 s", 10: "10 s", 60: "1 min", 600: "10 min", 3600: "1 h", 21600: "6 h"}

WORDS = {
    "shared_poller": "this provider",
    "every_second": "this provider, with ``max_poll_interval`` 1 s",
    "shared_session": "one aiohttp session, every second",
    "official_sdk": "Stream's SDK, ``AsyncStream.wait_for_task``",
    "by_hand": "by hand on asyncio's streams, every second",
    "httptools_protocol": "by hand on asyncio's protocols, with httptools, every second",
    "raw_protocol": "the same with no parser of HTTP at all",
}


def polls(duration: float, delay: Callable[[float], float]) -> tuple[int, float]:
    """Return the polls until a Stream task of a duration is seen finished, and the mean delay."""
    age, polls = 0.0, 1
    while age < duration:
        step = delay(age)
        age, polls = age + step, polls + 1
    return polls, step / 2


def draw(path: Path) -> None:
    """Draw polls and delay against duration, for us and for a fixed second."""
    curves: list[tuple[str, str, list[float]]] = [
        ("polls, every second", "#b0b0b0", [polls(d, lambda _: 1.0)[0] for d in DURATIONS]),
        ("polls", "#d9480f", [polls(d, lambda age: TERMS.delay(age, usual_interval))[0] for d in DURATIONS]),
        ("mean delay in seconds", "#1864ab", [polls(d, TERMS.delay)[1] for d in DURATIONS]),
    ]
    low, high = 0.4, 30_000.0

    def x(duration: float) -> float:
        return MARGIN + (WIDTH - 2 * MARGIN) * log10(duration / DURATIONS[0]) / log10(
            DURATIONS[-1] / DURATIONS[0]
        )

    def y(value: float) -> float:
        return HEIGHT - MARGIN + (2 * MARGIN - HEIGHT) * log10(max(low, value) / low) / log10(high / low)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        'font-size="11">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]

    def line(x1: float, x2: float, y1: float, y2: float) -> str:
        return f'<line x1="{x1:.1f}" x2="{x2:.1f}" y1="{y1:.1f}" y2="{y2:.1f}" stroke="#eee"/>'

    def text(at_x: float, at_y: float, anchor: str, words: str, color: str = "black") -> str:
        return f'<text x="{at_x:.1f}" y="{at_y:.1f}" text-anchor="{anchor}" fill="{color}">{words}</text>'

    for seconds, label in TICKS.items():
        parts.append(line(x(seconds), x(seconds), y(high), y(low)))
        parts.append(text(x(seconds), HEIGHT - MARGIN + 16, "middle", label))
    for value in (1, 10, 100, 1000, 10_000):
        parts.append(line(MARGIN, WIDTH - MARGIN, y(value), y(value)))
        parts.append(text(MARGIN - 6, y(value) + 4, "end", f"{value:,}"))
    for number, (name, color, values) in enumerate(curves):
        points = " ".join(f"{x(d):.1f},{y(v):.1f}" for d, v in zip(DURATIONS, values, strict=True))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2"/>')
        parts.append(text(MARGIN + 12, MARGIN + 14 + 15 * number, "start", name, color))
    parts.append(text(WIDTH / 2, HEIGHT - 12, "middle", "what the Stream task takes"))
    path.write_text("\n".join([*parts, "</svg>"]) + "\n")


def table(results: dict[str, dict[str, Any]]) -> list[str]:
    """Return the rows of a list-table."""
    lines = [
        ".. list-table::",
        "   :header-rows: 1",
        "",
        "   * - Way",
        "     - CPU a poll",
        "     - polls a Stream task",
        "     - CPU a Stream task",
        "     - delay p50 / p99",
        "     - longest stall",
        "     - memory a wait",
    ]
    for way, row in results.items():
        ratio = row["cpu_per_poll_ms_ratio"]
        task = row["cpu_per_task_ms_ratio"]
        lines += [
            f"   * - {WORDS[way]}",
            f"     - {ratio[0]:.2f}"
            + (f" ({ratio[1]:.2f} to {ratio[2]:.2f})" if ratio[1] != ratio[2] else ""),
            f"     - {row['polls_per_task']:.1f}",
            f"     - {task[0]:.2f}",
            f"     - {row['delay_p50']:.2f} s / {row['delay_p99']:.2f} s",
            f"     - {1000 * row['loop_delay']:.0f} ms",
            f"     - {row['memory_per_wait_kib']:.1f} KiB",
        ]
    return lines


def cold_table(results: dict[str, dict[str, Any]]) -> list[str]:
    """Return the rows of the table about the first wait of a process."""
    words = {
        "on_the_loop": "imports on the event loop",
        "beside_the_loop": "this provider: imports in a thread",
    }
    lines = [
        ".. list-table::",
        "   :header-rows: 1",
        "",
        "   * - First wait of a process",
        "     - longest stall of the event loop",
        "     - as a ratio",
    ]
    for way, row in results.items():
        ratio = row["loop_delay_ratio"]
        lines += [
            f"   * - {words[way]}",
            f"     - {1000 * row['loop_delay']:.0f} ms",
            f"     - {ratio[0]:.2f}"
            + (f" ({ratio[1]:.2f} to {ratio[2]:.2f})" if ratio[1] != ratio[2] else ""),
        ]
    return lines


def hours_table(results: dict[str, dict[str, Any]]) -> list[str]:
    """Return the rows of the table about Stream tasks of an hour."""
    row = results["shared_poller"]
    return [
        ".. list-table::",
        "   :header-rows: 1",
        "",
        "   * - polls a Stream task",
        "     - of those of a poll every second",
        "     - delay mean / p99 / largest",
        f"   * - {row['polls_per_task']:.0f}",
        f"     - {row['polls_per_task_ratio']:.3f}",
        f"     - {row['delay_mean']:.1f} s / {row['delay_p99']:.1f} s / {row['delay_max']:.1f} s",
    ]


def budget_table(results: dict[str, dict[str, Any]]) -> list[str]:
    """Return the rows of the table about a budget that is far too small."""
    words = {
        "alone": "one triggerer",
        "beside_others": "beside a program that takes half of the budget",
        "two_triggerers": "two triggerers",
    }
    lines = [
        ".. list-table::",
        "   :header-rows: 1",
        "",
        "   * - ",
        "     - mean delay ÷ the least possible",
        "     - delay mean / p99 / largest",
        "     - 429",
    ]
    for name, row in results.items():
        lines += [
            f"   * - {words[name]}",
            f"     - {row['delay_ratio']:.2f}",
            f"     - {row['delay_mean']:.0f} s / {row['delay_p99']:.0f} s / {row['delay_max']:.0f} s",
            f"     - {row['rejected']}",
        ]
    return [line.rstrip() for line in lines]


TABLES: dict[str, Callable[[Any], list[str]]] = {
    "cold": cold_table,
    "hours": hours_table,
    "budget": budget_table,
}
"""The sections whose tables are not :func:`table`."""


def main() -> None:
    """Write the picture and one file for each table."""
    draw(DOCS / "waiting.svg")
    measured = DOCS / "benchmarks.json"
    for name, results in json.loads(measured.read_text()).items() if measured.exists() else ():
        rows_of: Callable[[Any], list[str]] = TABLES.get(name, table)
        (DOCS / f"waiting_{name}.inc").write_text("\n".join(rows_of(results)) + "\n")


if __name__ == "__main__":
    main()
