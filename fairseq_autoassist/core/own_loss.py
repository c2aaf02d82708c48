"""A feature that changes as a model learns: the size of an item's own last loss.

It is one-hot, beside the features of any source. It costs nothing to know: losses are reported in
any case.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .memory import refuse_other_items
from .source import FeatureSource, Rows

# limits between the columns of known losses, as multiples of T_k
_LIMITS = 2.0 ** (np.arange(-8, 5, dtype=np.float32) / 2)
_UNKNOWN = 0  # column of an item without a known loss
COLUMNS = len(_LIMITS) + 2  # that one, and one more than limits


class _Beside(NamedTuple):
    """Rows of a source, with a one in a further column of each; a `source.Rows`.

    Attributes:
        rows: of the source
        base: number of features of the source
        columns: the further column of each row, counted from ``base``: uint8 (n,)
    """

    rows: Rows
    base: int
    columns: np.ndarray

    def dot(self, weights: np.ndarray) -> np.ndarray:
        """``rows @ weights`` (float32 (dimensions,)): float32 (n,)."""
        return self.rows.dot(weights[: self.base]) + weights[self.base :][self.columns]

    def add_to(self, weights: np.ndarray, coefficients: np.ndarray, factor: float) -> None:
        """Add ``factor * (coefficients @ rows)`` to the weights, in place."""
        self.rows.add_to(weights[: self.base], coefficients, factor)
        np.add.at(weights[self.base :], self.columns, np.float32(factor) * coefficients)


class OwnLoss:
    """Features of a source, and the size of each item's last loss; a `source.FeatureSource`.

    The size is a loss over T_k when it was reported. Compared with a later T_k, an old loss would
    look large, because losses fall. Each rank knows of its own reports.

    Args:
        source: of the other features
        count: number of items
    """

    def __init__(self, source: FeatureSource, count: int) -> None:
        self._source, self.rows = source, count
        self.dimensions = source.dimensions + COLUMNS
        self.difficulty = source.difficulty
        self._columns = np.full(count, _UNKNOWN, dtype=np.uint8)

    def gather(self, ids: np.ndarray) -> _Beside:
        """Get rows of items by id (integers (n,)), in that order."""
        return _Beside(self._source.gather(ids), self._source.dimensions, self._columns[ids])

    def scores(self, ids: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """``gather(ids).dot(weights)`` (float32 (dimensions,)): float32 (n,)."""
        base = self._source.dimensions
        return self._source.scores(ids, weights[:base]) + weights[base:][self._columns[ids]]

    def record(self, ids: np.ndarray, losses: np.ndarray, threshold: float) -> None:
        """Remember the size of losses; what `gather` gives of these items changes.

        Args:
            ids: integers (n,)
            losses: finite, nats per token, float32 (n,)
            threshold: T_k, nats per token
        """
        above = losses[:, None] > np.float32(threshold) * _LIMITS
        self._columns[ids] = _UNKNOWN + 1 + above.sum(axis=1)

    def state(self) -> np.ndarray:
        """Copy the column of each item: uint8 (count,)."""
        return self._columns.copy()

    def load(self, state: np.ndarray | None) -> None:
        """Take over a saved state; None: forget everything.

        Raises:
            ValueError: the state is of another number of items
        """
        if state is None:
            self._columns[:] = _UNKNOWN
            return
        refuse_other_items(state, self._columns)
        self._columns[:] = state
