"""Tokens saved: an arm's tokens against those that plain training needs for the same BLEU.

Plain training is known at two lengths, each with its own schedule: at the full budget, and at the
arm's budget, where `random` stands for it. Between the two, BLEU is assumed to rise linearly with
the logarithm of the tokens.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Sequence

import numpy as np

from recipes.compare.records import Record
from recipes.compare.sections import Cell, Section
from recipes.compare.tables import table

LEAST = 0.5  # BLEU by which plain training over the full budget must be above random
KEYS = ("BLEU", "valid_BLEU")  # their mean is the score, over both sets


@dataclass(frozen=True)
class _Point:
    tokens: float
    score: float


def _mean(records: Sequence[Record], seeds: set[int]) -> _Point:
    chosen = [r for r in records if r.seed in seeds]
    tokens = math.exp(np.mean([math.log(r.train["tokens"]) for r in chosen]))
    return _Point(tokens, float(np.mean([r.end[key] for r in chosen for key in KEYS])))


def share_saved(cell: Cell, section: Section) -> float | None:
    """Share of the tokens of equally good plain training that `cell` did without; may be negative.

    None where there is no control or baseline, the three have no seed in common, or plain training
    gains less than LEAST BLEU from the control's tokens to the baseline's.
    """
    control, baseline = section.control(cell), section.baseline
    if control is None or baseline is None or cell is baseline:
        return None
    seeds = set(cell.seeds) & set(control.seeds) & set(baseline.seeds)
    if not seeds:
        return None
    arm, low, high = (_mean(c.records, seeds) for c in (cell, control, baseline))
    if not high.score - low.score >= LEAST or high.tokens <= low.tokens:
        return None
    lead = (arm.score - low.score) / (high.score - low.score)
    needed = low.tokens * (high.tokens / low.tokens) ** lead
    return 1.0 - arm.tokens / needed


def section_table(section: Section) -> str:
    """Table of each arm with `random` and plain training in its section; may be empty."""
    rows = []
    for cell in section.cells:
        if section.control(cell) and section.baseline and cell is not section.baseline:
            share = share_saved(cell, section)
            percent = "-" if share is None else f"{round(100 * share):+d}"
            rows.append([cell.arm, f"{cell.budget:.2f}", percent])
    return table(rows, ["arm", "budget", "% of tokens saved"]) if rows else ""
