"""``python -m tests.conformance`` writes the lists of calls for the documentation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tests.conformance.assertions import ASSERTIONS
from tests.conformance.calls import TABLE, Call
from tests.conformance.javascript_calls import JAVASCRIPT, PACKAGES


def pages() -> dict[Path, str]:
    """The files that are printed from the tables, with what they must hold."""
    return {
        Path("docs/generated/conformance_calls.inc"): _table(
            (28, 44, 28), ("Operation", "``getstream``", "``stream-chat``"), _calls()
        ),
        Path("docs/generated/conformance_javascript.inc"): _table(
            (28, 40, 32), ("Operation", *(f"``{package}``" for package in PACKAGES.values())), _javascript()
        ),
        Path("docs/generated/conformance_suites.inc"): _table(
            (24, 30, 34, 12), ("Operation", "The answer", "The Stream task", "Here"), _assertions()
        )
        + "\nWho asserts it:\n\n"
        + "\n".join(_suites())
        + "\n",
    }


def _table(widths: Sequence[int], head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A list table of reStructuredText."""
    lines = [
        ".. list-table::",
        "   :header-rows: 1",
        f"   :widths: {' '.join(map(str, widths))}",
        "",
    ]
    for row in (head, *rows):
        lines += [f"   {'  -' if place else '* -'} {cell}".rstrip() for place, cell in enumerate(row)]
    return "\n".join(lines) + "\n"


def _calls() -> Iterator[Sequence[str]]:
    # Variants of an operation are the same calls with other arguments.
    for row in (row for row in TABLE if not row.variant):
        yield row.operation, _name(row.getstream), _name(row.stream_chat)


def _name(call: Call | None) -> str:
    if call is None:
        return ""
    return f"``channel(...).{call.method}``" if call.channel else f"``{call.method}``"


def _javascript() -> Iterator[Sequence[str]]:
    for row in (row for row in TABLE if not row.variant):
        calls = [call for call in JAVASCRIPT if call.row.operation == row.operation]
        yield (
            row.operation,
            *(
                ", ".join(dict.fromkeys(f"``{call.name}``" for call in calls if call.sdk == sdk))
                for sdk in PACKAGES
            ),
        )


def _assertions() -> Iterator[Sequence[str]]:
    for row in ASSERTIONS:
        yield f"{row.operation}, {row.case}", row.answer, row.task, row.outcome.value


def _suites() -> Iterator[str]:
    for row in ASSERTIONS:
        yield f"* {row.operation}, {row.case}:"
        yield ",\n".join(f"  `{suite.repository} <{suite.url}>`__ ``{suite.test}``" for suite in row.suites)


if __name__ == "__main__":
    for page, text in pages().items():
        page.write_text(text, encoding="utf-8")
