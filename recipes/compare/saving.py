"""What a choice saves: its tokens against those that plain training needs for the same BLEU.

Plain training is known at two lengths, each with a schedule of its own: over the full budget, and
at the arm's, where a random choice stands for it. Between the two, BLEU is taken to rise with the
logarithm of the tokens.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Sequence

import numpy as np

from recipes.compare.arms import CHOSE_BY_VALIDATION
from recipes.compare.overall import above_zero, by_corpora, by_corpus
from recipes.compare.records import Record
from recipes.compare.sections import Cell, Section
from recipes.compare.statistics import estimate
from recipes.compare.tables import interval, table

LEAST = 0.5  # BLEU by which plain training over the full budget must be above random
KEYS = ("BLEU", "valid_BLEU")  # their mean is the score: twice the sentences of either
WORDS = f"""Tokens that plain training needs for an arm's final score, the mean of BLEU on test and
validation, by a straight line over the logarithm of tokens from random (the run that the arm is
held against) to uniform 1.00, each with a schedule of its own; saved is the share of these that the
arm did without. One figure a setting (a corpus, model, length and budget), over the seeds that all
three have; then mean and 95% t interval over settings, and in how many it is above 0. Left out:
settings where uniform 1.00 is less than {LEAST} BLEU above random, or has no more tokens: there it
is not known what fewer tokens cost. Settings share corpora, test sentences and seeds; "by corpus"
has one figure a corpus. Arms with one setting are not shown. Of arms that choose by relevance, for
which pairs of the validation set are the model, the score is BLEU on test alone."""


@dataclass(frozen=True)
class Saving:
    """Shares of tokens saved by one arm, one a setting."""

    arm: str
    corpora: list[str]  # of each setting
    shares: list[float]
    left_out: int  # settings without a figure


@dataclass(frozen=True)
class _Point:
    tokens: float
    score: float


def _mean(records: Sequence[Record], seeds: set[int], keys: Sequence[str]) -> _Point:
    chosen = [r for r in records if r.seed in seeds]
    tokens = math.exp(np.mean([math.log(r.train["tokens"]) for r in chosen]))
    return _Point(tokens, float(np.mean([r.end[key] for r in chosen for key in keys])))


def share_saved(cell: Cell, control: Cell, baseline: Cell) -> float | None:
    """Share of the tokens of equally good plain training that `cell` did without; may be negative.

    None where the three have no seed in common, or plain training gains less than LEAST BLEU from
    the control's tokens to the baseline's.
    """
    seeds = set(cell.seeds) & set(control.seeds) & set(baseline.seeds)
    if not seeds:
        return None
    keys = KEYS[:1] if cell.arm in CHOSE_BY_VALIDATION else KEYS
    arm, low, high = (_mean(c.records, seeds, keys) for c in (cell, control, baseline))
    if high.score - low.score < LEAST or high.tokens <= low.tokens:
        return None
    lead = (arm.score - low.score) / (high.score - low.score)
    needed = low.tokens * (high.tokens / low.tokens) ** lead
    return 1.0 - arm.tokens / needed


def _shares(section: Section) -> list[tuple[Cell, float | None]]:
    """The cells of a section that have a control and a baseline, with what they saved."""
    found: list[tuple[Cell, float | None]] = []
    baseline = section.baseline
    for cell in section.cells:
        control = section.control(cell)
        if control is not None and baseline is not None and cell is not baseline:
            found.append((cell, share_saved(cell, control, baseline)))
    return found


def savings(sections: Sequence[Section]) -> list[Saving]:
    """One entry an arm that has at least two settings, the highest first."""
    found: dict[str, list[tuple[str, float | None]]] = {}
    for section in sections:
        for cell, share in _shares(section):
            found.setdefault(cell.arm, []).append((section.corpus, share))
    arms = []
    for arm, settings in found.items():
        known = [(corpus, share) for corpus, share in settings if share is not None]
        if len(known) > 1:
            corpora, shares = map(list, zip(*known))
            arms.append(Saving(arm, corpora, shares, len(settings) - len(known)))
    return sorted(arms, key=lambda entry: -float(np.mean(entry.shares)))


def section_table(section: Section) -> str:
    """Each arm of one section that has `random` and plain training beside it; may be empty."""
    rows = []
    for cell, share in _shares(section):
        rows.append(
            [cell.arm, f"{cell.budget:.2f}", "-" if share is None else f"{round(100 * share):+d}"]
        )
    return table(rows, ["arm", "budget", "% of tokens saved"]) if rows else ""


def savings_table(sections: Sequence[Section]) -> str:
    """Of the corpora of the bar, then of all, where an arm has settings on others; may be empty."""
    rows = []
    for corpora, entry in by_corpora(sections, savings):
        percent = [100 * share for share in entry.shares]
        row = [corpora, entry.arm, str(len(percent)), interval(estimate(percent), "+", 0)]
        row += [above_zero(percent), interval(by_corpus(percent, entry.corpora), "+", 0)]
        rows.append([*row, str(entry.left_out)])
    headers = ["corpora", "arm", "settings", "% of tokens saved", "above 0", "by corpus"]
    headers += ["left out"]
    return table(rows, headers) if rows else ""
