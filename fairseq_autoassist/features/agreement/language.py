"""Which sides are written in the wrong language, told from the two sides of the corpus itself.

Two unigram models, of the source and of the target language, over the pieces that are frequent on
either side: function words, mostly. A name, a number or a line of code has none, so it gives no
evidence either way. EM moves sentences to the language that they are written in, then estimates the
models again, so that English on the German side does not count as German for long.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import expit

from .reading import Pairs, Sentences

COVER = 0.6  # share of the tokens of a side that its frequent pieces make up
LARGEST = 3.0  # nats of evidence that one piece can give
COPY = 0.6  # share of common piece types from which a pair counts as a copy
_ITERATIONS = 6
_PRIOR_TOKENS = 10.0  # of the mean of both models, added to each
_FIRST_SHARE = 0.02
_SHARES = (1e-4, 0.5)  # without evidence a side is never more likely wrong than right


class Languages(NamedTuple):
    """What tells the languages apart.

    Attributes:
        evidence: ln p(piece | source language) - ln p(piece | target language), float64 (joint
            vocabulary,), 0 for pieces that are not frequent
        shares: of sentences in the wrong language, float64 (2, 2): [source or target side, whether
            the pair is a copy]
    """

    evidence: np.ndarray
    shares: np.ndarray

    def right(self, pairs: Pairs, copies: np.ndarray) -> np.ndarray:
        """Probability that each side is in its own language, float32 (2, n).

        Args:
            pairs: with joint ids of pieces
            copies: bool (n,), whether the pair is a copy
        """
        found = [_right(self, pairs.side(n), n, copies) for n in (0, 1)]
        return np.stack(found).astype(np.float32)

    def strength(self, side: Sentences, number: int) -> np.ndarray:
        """Evidence that sentences are in the language of side ``number``: nats, float64 (n,)."""
        summed = np.bincount(side.rows, self.evidence[side.pieces], len(side.offsets) - 1)
        return -summed if number else summed


def _right(languages: Languages, side: Sentences, number: int, copies: np.ndarray) -> np.ndarray:
    wrong = languages.shares[number][copies.astype(np.int64)]
    odds = np.log((1.0 - wrong) / wrong)
    return expit(languages.strength(side, number) + odds)


def learn(pairs: Pairs, copies: np.ndarray, vocabulary: int) -> Languages:
    """Fit both models and the shares by EM.

    Copies have a share of their own: where most copied sentences are in the wrong language, so is a
    copy that gives no evidence, half of the time; in a corpus of code it is not.

    Args:
        pairs: with joint ids of pieces
        copies: bool (n,), whether the pair is a copy
        vocabulary: number of joint ids
    """
    sides = pairs.source, pairs.target
    counts = [np.bincount(side.pieces, minlength=vocabulary) for side in sides]
    frequent = _most_frequent(counts[0]) | _most_frequent(counts[1])
    languages = Languages(np.zeros(vocabulary), np.full((2, 2), _FIRST_SHARE))
    own = [np.ones(pairs.count), np.ones(pairs.count)]
    rows = [side.rows for side in sides]
    groups = [copies, ~copies]
    for _ in range(_ITERATIONS):
        mine, other = (
            [np.bincount(side.pieces, w[row], vocabulary) for side, w, row in zip(sides, ws, rows)]
            for ws in (own, [1.0 - w for w in own])
        )
        source, target = mine[0] + other[1], mine[1] + other[0]
        evidence = np.where(frequent, _log_share(source, target) - _log_share(target, source), 0.0)
        languages = languages._replace(evidence=np.clip(evidence, -LARGEST, LARGEST))
        own = [_right(languages, side, n, copies) for n, side in enumerate(sides)]
        shares = [[_wrong(w, ~group) for group in groups] for w in own]
        languages = languages._replace(shares=np.clip(shares, *_SHARES))
    return languages


def _wrong(own: np.ndarray, group: np.ndarray) -> float:
    """Share of the group that is in the wrong language; some pairs more keep it from 0 and 1."""
    return float(((1.0 - own)[group].sum() + _FIRST_SHARE) / (group.sum() + 1.0))


def _log_share(counts: np.ndarray, others: np.ndarray) -> np.ndarray:
    """ln p of each piece, smoothed by what both models have in common."""
    both = (counts + others + 1.0) / (counts + others + 1.0).sum()
    return np.log((counts + _PRIOR_TOKENS * both) / (counts.sum() + _PRIOR_TOKENS))


def _most_frequent(counts: np.ndarray) -> np.ndarray:
    """The fewest pieces that make up COVER of all tokens: bool (vocabulary,)."""
    order = np.argsort(-counts, kind="stable")
    needed = int(np.searchsorted(np.cumsum(counts[order]), COVER * counts.sum())) + 1
    mask = np.zeros(len(counts), dtype=bool)
    mask[order[:needed]] = True
    return mask
