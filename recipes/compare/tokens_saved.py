"""Tokens saved: an arm's tokens against those that plain training needs for the same BLEU.

Plain training is known at two lengths, each with its own schedule. At the arm's budget, the
shorter one, `random` stands for it. Between the two, BLEU is assumed to rise linearly with
the logarithm of the tokens.
"""

from __future__ import annotations

import math

import numpy as np

from recipes.compare.sections import Cell, Section

LEAST = 0.5  # BLEU by which plain training over the full budget must be above random
KEYS = ("BLEU", "valid_BLEU")  # their mean is the score, over both sets


def _point(cell: Cell, seeds: set[int]) -> tuple[float, float]:
    """Logarithm of the tokens, and score: means over the seeds."""
    chosen = [r for r in cell.records if r.seed in seeds]
    tokens = float(np.mean([math.log(r.train["tokens"]) for r in chosen]))
    return tokens, float(np.mean([r.end[key] for r in chosen for key in KEYS]))


def share_saved(cell: Cell, section: Section) -> float | None:
    """Share of the tokens of equally good plain training that `cell` did without; may be negative.

    None where there is no control or baseline, or the three have no seed in common. None too where
    the control's run is as long as the baseline's, or plain training gains less than LEAST BLEU
    from the control's tokens to the baseline's.
    """
    control, baseline = section.control(cell), section.baseline
    if control is None or baseline is None or cell is baseline:
        return None
    if control.budget >= baseline.budget:  # plain training is known at one length
        return None
    seeds = set(cell.seeds) & set(control.seeds) & set(baseline.seeds)
    if not seeds:
        return None
    (own, score), (low, worse), (high, better) = (
        _point(c, seeds) for c in (cell, control, baseline)
    )
    if not better - worse >= LEAST or high <= low:
        return None
    needed = low + (high - low) * (score - worse) / (better - worse)
    return 1.0 - math.exp(own - needed)
