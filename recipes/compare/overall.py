"""An arm over all sections: how far it is from a random choice with the same seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Sequence, TypeVar

import numpy as np

from recipes.compare.bar import CORPORA
from recipes.compare.sections import Section
from recipes.compare.statistics import Estimate, difference, estimate, ratio
from recipes.compare.tables import interval, number, table

WORDS = """Difference to random, of final BLEU: one figure a setting (a corpus,
model, length and budget), the mean over the seeds that both have; then mean and 95% t interval over
settings, and in how many the figure is above 0. Settings share corpora, test sentences and seeds,
so that interval says little of another corpus; "by corpus" is the mean and interval of one figure a
corpus, the mean of its settings. Arms with one setting are left out."""


Entry = TypeVar("Entry")


@dataclass(frozen=True)
class Overall:
    """An arm's differences to random, one a setting."""

    arm: str
    corpora: list[str]  # of each setting
    test: list[float]
    valid: list[float]
    runs: int  # pairs of runs of one seed
    tokens: float  # mean ratio to random's


def overall(sections: Sequence[Section]) -> list[Overall]:
    """One entry an arm that has at least two settings, the highest on test first."""
    found: dict[str, list[tuple[str, Estimate, Estimate, float]]] = {}
    for section in sections:
        for cell in section.cells:
            control = section.control(cell)
            if control is None:
                continue
            test, valid = (difference(cell, control, key) for key in ("BLEU", "valid_BLEU"))
            if test is not None and valid is not None:
                tokens = ratio(cell, control, "tokens")
                found.setdefault(cell.arm, []).append((section.corpus, test, valid, tokens))
    arms = [
        Overall(
            arm,
            [corpus for corpus, *_ in settings],
            [test.mean for _, test, _, _ in settings],
            [valid.mean for _, _, valid, _ in settings],
            sum(test.n for _, test, _, _ in settings),
            float(np.mean([tokens for *_, tokens in settings])),
        )
        for arm, settings in found.items()
        if len(settings) > 1
    ]
    return sorted(arms, key=lambda entry: -float(np.mean(entry.test)))


def overview(sections: Sequence[Section]) -> str:
    """The table: of the corpora of the bar, then of all, where an arm has settings on others.

    Empty where no arm has two settings.
    """
    rows = [[corpora, *_row(entry)] for corpora, entry in by_corpora(sections, overall)]
    headers = ["corpora", "arm", "settings", "pairs of runs"]
    headers += ["BLEU to random", "above 0", "by corpus"]
    headers += ["valid BLEU to random", "above 0", "by corpus", "tokens to random"]
    return table(rows, headers) if rows else ""


def by_corpora(
    sections: Sequence[Section], entries: Callable[[Sequence[Section]], list[Entry]]
) -> list[tuple[str, Entry]]:
    """Entries of the sections of the bar; then of all sections, those that differ from these."""
    of_bar = entries([section for section in sections if section.corpus in CORPORA])
    more = [entry for entry in entries(sections) if entry not in of_bar]
    return [("of the bar", entry) for entry in of_bar] + [("all", entry) for entry in more]


def by_corpus(values: Sequence[float], corpora: Sequence[str]) -> Estimate | None:
    """Estimate over corpora, one value each: the mean of its settings; None of a single corpus."""
    groups: dict[str, list[float]] = {}
    for corpus, value in zip(corpora, values):
        groups.setdefault(corpus, []).append(value)
    means = [float(np.mean(group)) for group in groups.values()]
    return estimate(means) if len(means) > 1 else None


def above_zero(values: Sequence[float]) -> str:
    return f"{sum(value > 0 for value in values)} of {len(values)}"


def _row(entry: Overall) -> list[str]:
    row = [entry.arm, str(len(entry.test)), str(entry.runs)]
    for values in (entry.test, entry.valid):
        row += [interval(estimate(values), "+"), above_zero(values)]
        row += [interval(by_corpus(values, entry.corpora), "+")]
    return [*row, number(entry.tokens, 3)]
