"""A table in plain text."""

from __future__ import annotations

from collections.abc import Sequence


def render(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows under a header in aligned columns; a first cell is not repeated from row to row."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    lines = [_line(header, widths), _line(["-" * width for width in widths], widths)]
    above = None
    for first, *others in rows:
        lines.append(_line(["" if first == above else first, *others], widths))
        above = first
    return "\n".join(lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
