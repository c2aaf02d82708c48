"""Gains of pairs, drawn with a known share of junk, for the two-groups model."""

from __future__ import annotations

import numpy as np

from fairseq_autoassist.features.agreement.twogroups import TwoGroups, fit

JUNK, JUNK_SPREAD = -0.3, 0.25  # nats per piece
COUNT = 12_000  # pairs: three ranges of lengths
SHARES = [0.0, 0.3, 0.7]  # of junk


class Drawn:
    """Gains of pairs, some of them junk, and of the pairs made of them.

    Args:
        share: of junk among the pairs
        accidents: share of translations among the made pairs
        shift: how far the junk stands above the made pairs, nats per piece
        good: mean of the poorer translations, nats per piece
    """

    def __init__(
        self,
        share: float,
        count: int = COUNT,
        accidents: float = 0.03,
        shift: float = 0.0,
        good: float = 1.3,
    ) -> None:
        self.rng, self.good = np.random.default_rng(7), good
        self.junk = self._chosen(count, share)
        self.gains = self._gains(self.junk, shift), self._gains(~self._chosen(count, accidents), 0)
        self.lengths = self.rng.integers(3, 40, count), self.rng.integers(3, 40, count)
        self.weights = np.ones(count), np.ones(count)
        self.names = np.zeros(count, bool)

    def _chosen(self, count: int, share: float) -> np.ndarray:
        return self.rng.permutation(count) < round(share * count)

    def _gains(self, junk: np.ndarray, shift: float) -> np.ndarray:
        better = 0.7 * (self.rng.random(len(junk)) < 0.4)
        good = self.good + better + 0.4 * self._normal(len(junk))
        bad = JUNK + shift + JUNK_SPREAD * self._normal(len(junk))
        return np.where(junk, bad, good).astype(np.float32)

    def _normal(self, count: int) -> np.ndarray:
        return self.rng.standard_normal(count)

    def fit(self) -> TwoGroups:
        return fit(self.gains, self.lengths, self.weights, self.names)

    def posterior(self, groups: TwoGroups) -> np.ndarray:
        return groups.posterior(self.gains[0], self.lengths[0], self.names)
