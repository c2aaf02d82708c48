"""Table of the arms that were taken out, from their records."""

from __future__ import annotations

from typing import Sequence

from recipes.compare.arms import ARMS
from recipes.compare.records import Record
from recipes.compare.sections import sections
from recipes.compare.settings import ARCHITECTURES
from recipes.compare.statistics import difference
from recipes.compare.tables import interval, number, table

WORDS = """Arms whose flags were removed, against random of the same budget or tokens. Their records
name the flags of their time. Arms with "relevance" in their names chose by the validation set, so
BLEU on it is no fair judge of them."""


def remaining(records: Sequence[Record]) -> list[Record]:
    """Records of arms and models that can be run today."""
    return [r for r in records if r.arm in ARMS and r.architecture in ARCHITECTURES]


def taken_out(records: Sequence[Record]) -> str:
    """One row for each arm, setting and budget; empty where all arms can be run today."""
    rows = []
    for section in sections(records):
        for cell in (cell for cell in section.cells if cell.arm not in ARMS):
            control = section.control(cell)
            row = [section.title, cell.arm, number(cell.budget), str(len(cell.records))]
            for key in ("BLEU", "valid_BLEU"):
                row.append(interval(difference(cell, control, key), "+"))
            rows.append(row)
    headers = ["setting", "arm", "budget", "seeds", "BLEU to random", "valid BLEU to random"]
    return table(sorted(rows, key=lambda row: (row[1], row[0])), headers)
