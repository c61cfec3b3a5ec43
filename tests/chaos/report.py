"""The numbers of the runs as a table."""

from __future__ import annotations

import json
from pathlib import Path

from tests.chaos.audit import Verdict

ROWS = {
    "Airflow tasks": ("airflow_tasks",),
    "… that ended in success, failure, upstream failure": ("success", "failed", "upstream_failed"),
    "batches to submit": ("batches",),
    "requests to Stream": ("requests",),
    "… that met a 5xx, a reset, a 429, the outage": ("fault_5xx", "fault_reset", "fault_429", "fault_outage"),
    "SIGKILLs: triggerer, scheduler": ("count_kill triggerer", "count_kill scheduler"),
    "SIGKILLs: API server, DAG processor": ("count_kill api-server", "count_kill dag-processor"),
    "SIGKILLs: workers, single Airflow tasks": ("count_kill workers", "count_kill task"),
    "restarts of the database": ("count_database",),
    "components that then ended by themselves": ("count_ended by itself",),
    "retries of Airflow tasks": ("retries",),
    "batches reported as uncertain, and not sent again": ("ambiguous",),
    "batches sent again because they were uncertain (``resubmit``)": ("resubmitted",),
    "waits whose Stream task ended in the outage": ("waits_over_outage",),
    "… the last of them noticed it after (s)": ("longest_notice",),
    "429 because a budget was spent, all in all": ("refused_by_budget",),
    "a deadline was exceeded by at most (s)": ("longest_late",),
    "the run took (s)": ("lasted",),
}


def table(verdicts: dict[int, Verdict]) -> list[list[str]]:
    """Return the table, its head first."""
    lines = [["", *(f"seed {seed}" for seed in verdicts)]]
    for name, keys in ROWS.items():
        lines.append([name, *(", ".join(_number(v, key) for key in keys) for v in verdicts.values())])
    found = [str(sum(map(len, verdict.faults.values()))) for verdict in verdicts.values()]
    lines.append(["faults that the books show", *found])
    return lines


def write(verdicts: dict[int, Verdict], docs: Path | None) -> str:
    """Return the table as text, and write it and the numbers into a folder if there is one."""
    lines = table(verdicts)
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    text = "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
    )
    text = text.replace("``", "")
    if docs:
        numbers = {seed: {**verdict.numbers, "faults": verdict.faults} for seed, verdict in verdicts.items()}
        (docs / "chaos.json").write_text(json.dumps(numbers, indent=1) + "\n")
        rows = [".. list-table::", "   :header-rows: 1", "   :stub-columns: 1", ""]
        for line in lines:
            rows += [f"   {'* -' if number == 0 else '  -'} {cell}" for number, cell in enumerate(line)]
        (docs / "chaos.inc").write_text("\n".join(row.rstrip() for row in rows) + "\n")
    return text


def _number(verdict: Verdict, key: str) -> str:
    if key == "count_kill workers":
        return str(
            sum(int(n) for name, n in verdict.numbers.items() if name.startswith("count_kill worker-"))
        )
    value = verdict.numbers.get(key, 0)
    return f"{value:g}" if value < 1e6 else f"{value:,.0f}"
