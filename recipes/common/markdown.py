"""Tables in Markdown."""

from __future__ import annotations

from typing import Sequence


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Make the lines of a table; the first column is text, the others are figures."""
    rule = ["---"] + ["---:"] * (len(head) - 1)
    return [_line(head), _line(rule), *map(_line, rows)]
