"""Rates of judging pairs by a lexicon and of learning one, on one core."""

from __future__ import annotations

import functools
from typing import Callable

import numpy as np

from fairseq_autoassist.features.agreement.lexicon import ITERATIONS, fit, information
from fairseq_autoassist.features.agreement.reading import Pairs, Sentences

from .measure import Result, at_least, core_clock, informative, median_seconds

PIECES = 25  # in a sentence of either side
VOCABULARIES = (8_000, 32_000)  # pieces of a dictionary: each with a row, and with shared rows
JUDGE_TARGET = 100_000  # pairs/s and direction
SPECIAL = 4


def sentences(count: int, vocabulary: int, seed: int) -> Sentences:
    """Sentences of PIECES pieces each, drawn by Zipf's law."""
    rng = np.random.default_rng(seed)
    mass = np.cumsum(1.0 / np.arange(1, vocabulary + 1))
    drawn = np.searchsorted(mass, rng.random(count * PIECES) * mass[-1])
    return Sentences((drawn + SPECIAL).astype(np.int32), np.arange(0, len(drawn) + 1, PIECES))


def agreement_rate(count: int = 20_000) -> list[Result]:
    """Pairs judged and learned from per second and direction, for two sizes of dictionary."""
    results = []
    for vocabulary in VOCABULARIES:
        pairs = Pairs(sentences(count, vocabulary, 0), sentences(count, vocabulary, 1))
        sizes = (vocabulary + SPECIAL, vocabulary + SPECIAL)
        weights = np.ones(count)
        lexicon = fit(pairs, 0, sizes, weights)
        calls: list[Callable[[], object]] = [
            functools.partial(information, lexicon, pairs.source, pairs.target),
            functools.partial(fit, pairs, 0, sizes, weights),
        ]
        judged, learned = median_seconds(calls, core_clock)
        name = f"agreement, {PIECES} pieces a side, {vocabulary:,} pieces a dictionary"
        rates = count / judged, ITERATIONS * count / learned
        results += [
            at_least(f"{name}: judge", rates[0], "pairs/s", JUDGE_TARGET),
            informative(f"{name}: learn, a pass", rates[1], "pairs/s"),
        ]
    return results
