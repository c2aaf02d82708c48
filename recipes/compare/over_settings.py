"""Table of each arm over all settings: its lead over random, and the tokens that it saved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

import numpy as np

from recipes.compare.sections import BASELINE, Section
from recipes.compare.statistics import Estimate, difference, estimate, ratio
from recipes.compare.tables import interval, number, table
from recipes.compare.tokens_saved import LEAST, share_saved

CLEAN = ("multi30k", "tatoeba", "msdocs")
WORDS = f"""One figure a setting: a corpus, model, length and budget. It is the difference to random
in final BLEU, the mean over the seeds that both have. A row gives the mean over settings, its 95% t
interval, and how many settings are above 0. Settings share corpora, test sentences and seeds, so
the interval says little of another corpus; "by corpus" has one figure a corpus, of BLEU on test.
Tokens saved: plain training needs some number of tokens for the arm's final score, the mean of BLEU
on test and validation. That number is read off a straight line over the logarithm of tokens from
random, which the arm is held against, to uniform 1.00. Saved is the share of it that the arm did
without. A setting has no such figure where uniform 1.00 is less than {LEAST} BLEU above random, or
is no longer than it in updates or tokens. Arms with one setting are left out."""


@dataclass(frozen=True)
class Setting:
    """Results of one arm in one setting."""

    corpus: str
    test: float  # BLEU to random
    valid: float
    tokens: float  # ratio to random's
    saved: float | None  # share of the tokens of equally good plain training


def settings_of(sections: Sequence[Section]) -> dict[str, list[Setting]]:
    """Arm -> its settings, for arms with at least two; the highest mean on test first."""
    found: dict[str, list[Setting]] = {}
    for section in sections:
        for cell in section.cells:
            control = section.control(cell)
            if control is None or cell.arm == BASELINE:
                continue
            test, valid = (difference(cell, control, key) for key in ("BLEU", "valid_BLEU"))
            if test is not None and valid is not None:
                tokens, saved = ratio(cell, control, "tokens"), share_saved(cell, section)
                setting = Setting(section.corpus, test.mean, valid.mean, tokens, saved)
                found.setdefault(cell.arm, []).append(setting)
    several = {arm: settings for arm, settings in found.items() if len(settings) > 1}
    order = sorted(several, key=lambda arm: -float(np.mean([s.test for s in several[arm]])))
    return {arm: several[arm] for arm in order}


def overview(sections: Sequence[Section]) -> str:
    """The table over clean corpora, then over all corpora for arms with others too.

    Empty where no arm has two settings.
    """
    clean = settings_of([section for section in sections if section.corpus in CLEAN])
    whole = settings_of(sections)
    rows = [["clean", arm, *_row(settings)] for arm, settings in clean.items()]
    rows += [["all", arm, *_row(s)] for arm, s in whole.items() if s != clean.get(arm)]
    headers = ["corpora", "arm", "settings", "BLEU to random", "above 0", "by corpus"]
    headers += ["valid BLEU to random", "above 0", "tokens to random"]
    return table(rows, [*headers, "% of tokens saved", "above 0"])


def by_corpus(settings: Sequence[Setting]) -> Estimate | None:
    """Estimate over corpora, each with the mean of its settings; None of a single corpus."""
    groups: dict[str, list[float]] = {}
    for setting in settings:
        groups.setdefault(setting.corpus, []).append(setting.test)
    means = [float(np.mean(group)) for group in groups.values()]
    return estimate(means) if len(means) > 1 else None


def above_zero(values: Sequence[float]) -> str:
    """How many values are above 0."""
    return f"{sum(value > 0 for value in values)} of {len(values)}"


def _row(settings: Sequence[Setting]) -> list[str]:
    test, valid = [s.test for s in settings], [s.valid for s in settings]
    percent = [100 * s.saved for s in settings if s.saved is not None]
    row = [str(len(settings)), interval(estimate(test), "+"), above_zero(test)]
    row += [interval(by_corpus(settings), "+"), interval(estimate(valid), "+"), above_zero(valid)]
    row += [number(float(np.mean([s.tokens for s in settings])), 3)]
    saved = f"{interval(estimate(percent), '+', 0)}".replace("(1 seed)", "(1 setting)")
    return [*row, saved, above_zero(percent) if percent else "-"]
