"""``python -m tests.conformance`` writes the list of calls for the documentation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.conformance.calls import TABLE, Call

PAGE = Path("docs/conformance_calls.inc")


def calls_as_rst() -> str:
    """The calls of the table as a list table of reStructuredText, one row for each operation."""
    head = [
        ".. list-table::",
        "   :header-rows: 1",
        "   :widths: 28 44 28",
        "",
        "   * - Operation",
        "     - ``getstream``",
        "     - ``stream-chat``",
    ]
    return "\n".join([*head, *_rows()]) + "\n"


def _rows() -> Iterator[str]:
    # Variants of an operation are the same calls with other arguments.
    for row in (row for row in TABLE if not row.variant):
        yield f"   * - {row.operation}"
        for call in (row.getstream, row.stream_chat):
            yield f"     -{' ' if call else ''}{_name(call)}"


def _name(call: Call | None) -> str:
    if call is None:
        return ""
    return f"``channel(...).{call.method}``" if call.channel else f"``{call.method}``"


if __name__ == "__main__":
    PAGE.write_text(calls_as_rst(), encoding="utf-8")
