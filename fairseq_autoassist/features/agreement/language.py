"""Sides in the wrong language, found by the two sides of the corpus itself.

There are two unigram models, of the source and of the target language, over the pieces that are
frequent on either side, mostly function words. EM assigns sentences to languages and estimates the
models again, so English on the German side soon stops counting as German. Only copies stay on both
sides. Else the names among them would move to the language whose letters they share, and take
their pieces along: half of the identifiers of Russian documentation then counted as English.

A *name* is a text without language: a name, a number, a line of code. It has few of these pieces,
and it is the same in both languages. So it counts as right. Between a name and a sentence the
verdict grows with the evidence.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import expit

from .reading import Pairs, Sentences

COVER = 0.6  # share of the tokens of a side that its frequent pieces make up
LARGEST = 3.0  # nats, largest evidence of one piece
NAME = 2.0  # nats: a side with less evidence, in size, is a name
COPY = 0.6  # share of common piece types from which a pair counts as a copy
_ITERATIONS = 6
_PRIOR_TOKENS = 10.0  # of the mean of both models, which smooth each model
_FIRST_SHARE = 0.02
_SHARES = (1e-4, 0.5)  # at most 0.5: without evidence no side is more likely wrong than right


class Languages(NamedTuple):
    """Models that tell the languages apart.

    Attributes:
        evidence: ln p(piece | source language) - ln p(piece | target language), float64 (joint
            vocabulary,), 0 for pieces that are not frequent
        shares: of sentences in the wrong language, float64 (2, 2): [source or target side, whether
            the pair is a copy]
    """

    evidence: np.ndarray
    shares: np.ndarray

    def told(self, pairs: Pairs, copies: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Tell the languages of both sides, and which pairs are names.

        Args:
            pairs: with joint ids of pieces
            copies: bool (n,), whether the pair is a copy

        Returns:
            probability that each side is in its own language, float32 (2, n), and whether both
            sides are names, bool (n,)
        """
        (source, source_size), (target, target_size) = (
            self.side_told(pairs.side(n), n, copies) for n in (0, 1)
        )
        right = np.stack([source, target]).astype(np.float32)
        return right, (source_size < NAME) & (target_size < NAME)

    def side_told(
        self, side: Sentences, number: int, copies: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Tell the language of one side.

        Args:
            side: with joint ids of pieces
            number: 0 for the source, 1 for the target
            copies: bool (n,), whether the pair is a copy

        Returns:
            probability that it is in its own language, and the size of its evidence in nats,
            float64 (n,) each
        """
        size = np.bincount(side.rows, np.abs(self.evidence)[side.pieces], len(side.offsets) - 1)
        wrong = self.shares[number][copies.astype(np.int64)]
        judged = expit(self.strength(side, number) + np.log((1.0 - wrong) / wrong))
        name = np.exp(-((size / NAME) ** 2))
        return name + (1.0 - name) * judged, size

    def strength(self, side: Sentences, number: int) -> np.ndarray:
        """Sum the evidence for the language of side ``number``: nats, float64 (n,)."""
        summed = np.bincount(side.rows, self.evidence[side.pieces], len(side.offsets) - 1)
        return -summed if number else summed


def learn(pairs: Pairs, copies: np.ndarray, vocabulary: int) -> Languages:
    """Fit both models and the shares by EM.

    Copies have shares of their own, since they are in the wrong language more often than others.

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
        staying = [np.where(copies, 1.0, w) for w in own]
        mine, other = (
            [np.bincount(side.pieces, w[row], vocabulary) for side, w, row in zip(sides, ws, rows)]
            for ws in (staying, [1.0 - w for w in staying])
        )
        source, target = mine[0] + other[1], mine[1] + other[0]
        evidence = np.where(frequent, _log_share(source, target) - _log_share(target, source), 0.0)
        languages = languages._replace(evidence=np.clip(evidence, -LARGEST, LARGEST))
        own = [languages.side_told(side, n, copies)[0] for n, side in enumerate(sides)]
        shares = [[_wrong(w, ~group) for group in groups] for w in own]
        languages = languages._replace(shares=np.clip(shares, *_SHARES))
    return languages


def _wrong(own: np.ndarray, group: np.ndarray) -> float:
    """Share of the group in the wrong language, smoothed by one pseudo-pair."""
    return float(((1.0 - own)[group].sum() + _FIRST_SHARE) / (group.sum() + 1.0))


def _log_share(counts: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Give ln p of each piece, smoothed by the mean of both models."""
    both = (counts + others + 1.0) / (counts + others + 1.0).sum()
    return np.log((counts + _PRIOR_TOKENS * both) / (counts.sum() + _PRIOR_TOKENS))


def _most_frequent(counts: np.ndarray) -> np.ndarray:
    """Mark the fewest pieces that make up COVER of all tokens: bool (vocabulary,)."""
    order = np.argsort(-counts, kind="stable")
    needed = int(np.searchsorted(np.cumsum(counts[order]), COVER * counts.sum())) + 1
    mask = np.zeros(len(counts), dtype=bool)
    mask[order[:needed]] = True
    return mask
