"""``python -m tests.benchmarks.scale_tables``: make the tables and the picture of ``docs/production.rst``."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from tests.benchmarks.tables import DOCS

MEASURED = DOCS / "benchmarks_scale.json"
WORDS = {
    "no_op": "no-op triggers",
    "push_xcom": "no-op triggers that push an XCom",
    "sensors": "sensors",
}
_Round = dict[str, Any]

FOOTNOTE = """\
Airflow {airflow}, LocalExecutor and PostgreSQL (``fsync`` on) on one machine with {cores} cores, which also
ran the sandbox that was polled. There are 20 Airflow tasks in a DAG, and 10 DAGs in a file. Set were
``[triggerer] capacity`` (5,000), ``[dag_processor] min_file_process_interval`` (7,200), and ``ulimit -n``.
All else is as Airflow has it, such as ``[scheduler] max_dagruns_per_loop_to_schedule`` (20) and ``[triggerer]
max_trigger_to_select_per_loop`` (50). Stream allowed 10,000 polls a minute, of which the sensors may use 80%,
and these had their default terms. No worker was started. Memory is what a process has for itself, without
what it has before the first waits and for the first 20."""


def rounds() -> list[_Round]:
    """Return what was measured: a round for each number of Airflow tasks and triggerers."""
    found: list[_Round] = json.loads(MEASURED.read_text()) if MEASURED.exists() else []
    return sorted(found, key=lambda each: (each["triggerers"], each["sensors"]))


def save(sensors: int, triggerers: int, way: str, result: dict[str, Any], began: str) -> None:
    """
    Keep what was measured of a way, and of the ways before it in the same round.

    :param began: names the round
    """
    kept = rounds()
    this = {"sensors": sensors, "triggerers": triggerers}
    same = [each for each in kept if this.items() <= each.items()]
    ways = same[0]["ways"] if same and same[0]["began"] == began else {}
    versions = {"airflow": version("apache-airflow"), "python": platform.python_version()}
    new = {**this, "began": began, "cores": os.cpu_count(), **versions, "ways": {**ways, way: result}}
    others = [each for each in kept if each not in same]
    MEASURED.write_text(json.dumps([*others, new]) + "\n")


def rows() -> Iterator[tuple[str, _Round, str, dict[str, Any]]]:
    """Yield the title of a row, its round, its way, and what was measured."""
    for each in rounds():
        for way in (way for way in WORDS if way in each["ways"]):
            result = each["ways"][way]
            more = f", {each['triggerers']} triggerers" if each["triggerers"] > 1 else ""
            yield f"{each['sensors']:,} {WORDS[way]}{more}", each, way, result


def list_table(title: str, head: list[str], lines: list[list[str]]) -> list[str]:
    """Return a list-table."""
    text = [f".. list-table:: {title}", "   :header-rows: 1", ""]
    for cells in [head, *lines]:
        text += [f"   * - {cells[0]}", *(f"     - {cell}" for cell in cells[1:])]
    return [line.rstrip() for line in [*text, ""]]


def coming_and_going() -> list[str]:
    """Return the table about beginnings and ends."""
    head = ["", "begun a second", "all wait again after a kill", "ended a second"]
    head += ["from completion to the end: mean / last", "ended in success", "parses of DAG files for it"]
    lines = []
    for title, each, _, result in rows():
        again, ended = "not measured", ["not measured"] * 4
        if "seconds_to_wait_again" in result:
            again = f"{result['seconds_to_wait_again']:.0f} s"
        if "states" in result:
            ended = [
                f"{result['ends_a_second']:.0f}",
                f"{result['mean_seconds_to_end']:.0f} s / {result['last_seconds_to_end']:.0f} s",
                f"{result['states'].get('success', 0):,} of {each['sensors']:,}",
                f"{result['parses']:,}",
            ]
        lines.append([title, f"{result['begun_a_second']:.0f}", again, *ended])
    return list_table("Beginnings and ends", head, lines)


def waiting() -> list[str]:
    """Return the table about the time in which all wait."""
    head = [
        "",
        "memory of the runner, each",
        "memory of the supervisor, each",
        "CPU of the triggerer, of a core",
    ]
    head += ["of the scheduler", "of the database", "polls a second", "open files of a supervisor"]
    lines = []
    for title, each, _, result in rows():
        memory = ["", ""]
        if each["triggerers"] == 1:  # with more, it is not known who has paid what is paid once
            memory = [f"{result['kib_a_sensor'][name]:.0f} KiB" for name in ("runner", "supervisor")]
        cpu = result["waiting_cpu_a_second"]
        shares = [cpu["runner"] + cpu["supervisor"], cpu["scheduler"], cpu["database"]]
        files = " and ".join(f"{count:,}" for count in result["open_files"])
        polls = f"{result['polls_a_second']:,.0f}"
        lines.append([title, *memory, *(f"{100 * share:.0f}%" for share in shares), polls, files])
    return list_table("While all wait", head, lines)


WIDTH, PLOT, LEFT, BOTTOM, GAP, LINE = 720, 190, 50, 50, 34, 15
PANELS = {
    "begin_curve": "seconds after the beginning",
    "again_curve": "seconds after the kill",
    "end_curve": "seconds after the completion",
}
COLORS = {
    ("no_op", 1): "#868e96",
    ("push_xcom", 1): "#9c36b5",
    ("sensors", 1): "#d9480f",
    ("no_op", 2): "#1864ab",
    ("push_xcom", 2): "#e64980",
    ("sensors", 2): "#2f9e44",
}


def picture() -> str:
    """Draw how many wait, against the time, for the largest number of Airflow tasks."""
    largest: int = max(each["sensors"] for each in rounds())
    shown = [
        (way, each["triggerers"], result)
        for title, each, way, result in rows()
        if each["sensors"] == largest and each["triggerers"] <= 2
    ]
    top = 12 + LINE * len(shown)
    bottom = top + PLOT
    height = bottom + BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        'font-size="11">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
    ]
    width = (WIDTH - LEFT - GAP * len(PANELS)) / len(PANELS)

    def y(count: float) -> float:
        return bottom - PLOT * count / largest

    for number, (name, words) in enumerate(PANELS.items()):
        begin = LEFT + number * (width + GAP)
        curves = [(way, triggerers, result.get(name, [])) for way, triggerers, result in shown]
        last = max((second for *_, curve in curves for second, _ in curve), default=1) or 1
        for count in (0, largest / 2, largest):
            parts.append(
                f'<line x1="{begin:.1f}" x2="{begin + width:.1f}" y1="{y(count):.1f}" y2="{y(count):.1f}" '
                'stroke="#eee"/>'
            )
            if not number:
                parts.append(
                    f'<text x="{begin - 6}" y="{y(count) + 4:.1f}" text-anchor="end">{count:,.0f}</text>'
                )
        step = next(each for each in (1, 5, 10, 20, 30, 60, 120, 300, 600) if last / each <= 5)
        for second in range(0, int(last) + 1, step):
            at = begin + width * second / last
            parts.append(f'<text x="{at:.1f}" y="{bottom + 16}" text-anchor="middle">{second}</text>')
        for way, triggerers, curve in curves:
            points = " ".join(
                f"{begin + width * second / last:.1f},{y(count):.1f}" for second, count in curve
            )
            color = COLORS[way, triggerers]
            parts.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2"/>')
        parts.append(
            f'<text x="{begin + width / 2:.1f}" y="{bottom + 32}" text-anchor="middle">{words}</text>'
        )
    for number, (way, triggerers, _) in enumerate(shown, 1):
        words = f"{WORDS[way]}, " + ("one triggerer" if triggerers == 1 else f"{triggerers} triggerers")
        color = COLORS[way, triggerers]
        parts.append(f'<text x="{LEFT}" y="{LINE * number}" fill="{color}">{words}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def main() -> None:
    """Write the tables and the picture."""
    note = FOOTNOTE.format(airflow=rounds()[-1]["airflow"], cores=rounds()[-1]["cores"]).splitlines()
    text = [*coming_and_going(), *waiting(), *note]
    (DOCS / "waiting_scale.inc").write_text("\n".join(text) + "\n")
    (DOCS / "waiting_scale.svg").write_text(picture())


if __name__ == "__main__":
    main()
