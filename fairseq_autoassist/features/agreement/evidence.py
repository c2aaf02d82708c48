"""Evidence of numbers and lengths against a pair, beside its information.

A pair whose numbers or lengths do not match is less likely a translation. One where they match is
not more likely one, since misaligned sentences of a page may match too. The corpus tells how much:
the log ratio of the frequencies of a value among translations and among made pairs. It is at most 0
and is added to the log odds of the posterior (naive Bayes).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

NUMBER_EDGES = np.array([-0.5, 0.01, 0.34, 0.67, 0.99])  # of the share of common numbers
LENGTH_SHARES = np.array([0.5, 0.8, 0.9, 0.95, 0.98, 0.99])  # quantiles of how unusual lengths are


class Evidence(NamedTuple):
    """Log ratios of a value of each kind.

    Attributes:
        length_edges: float64, ascending, of how unusual the lengths are
        numbers, lengths: nats, at most 0, float64 (edges + 1,)
    """

    length_edges: np.ndarray
    numbers: np.ndarray
    lengths: np.ndarray

    def against(self, numbers: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Give the term to add to the log odds of each pair, float64 (n,), at most 0.

        Args:
            numbers: share of common numbers, `statistics.NO_NUMBERS` where there are none (n,)
            lengths: how unusual the lengths are (n,)
        """
        found = self.numbers[np.digitize(numbers, NUMBER_EDGES)]
        return found + self.lengths[np.digitize(lengths, self.length_edges)]


def learn(
    numbers: tuple[np.ndarray, np.ndarray],
    lengths: tuple[np.ndarray, np.ndarray],
    weights: np.ndarray,
) -> Evidence:
    """Learn the log ratios from observed and made pairs.

    Args:
        numbers: share of common numbers of the observed and of the made pairs
        lengths: how unusual their lengths are
        weights: posterior of the observed pairs
    """
    edges = np.unique(np.quantile(lengths[0], LENGTH_SHARES))
    return Evidence(
        edges, _ratios(numbers, NUMBER_EDGES, weights), _ratios(lengths, edges, weights)
    )


def _ratios(
    values: tuple[np.ndarray, np.ndarray], edges: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """ln of the share of each bin among translations over that among made pairs, at most 0."""
    size = len(edges) + 1
    good = np.bincount(np.digitize(values[0], edges), weights, size) + 1.0
    made = np.bincount(np.digitize(values[1], edges), minlength=size) + 1.0
    return np.minimum(np.log(good / good.sum()) - np.log(made / made.sum()), 0.0)
