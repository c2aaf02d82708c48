"""Features that change as a model learns: an item's own last loss, and how often it was seen.

Both are one-hot columns beside the features of any source. They cost nothing to know: the losses
are reported in any case.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .memory import LossMemory
from .source import FeatureSource, Rows

# limits between the columns of the last loss, as multiples of the mean of all last losses
_LIMITS = 2.0 ** np.arange(-6, 3, dtype=np.float32)
_UNKNOWN = 0  # column of an item without a known loss
_LOSSES = len(_LIMITS) + 2  # columns of the last loss, that one included
_TIMES = 6  # columns of the number of times seen; the last one is for more
COLUMNS = _LOSSES + _TIMES


class _Beside(NamedTuple):
    """Rows of a source, and two more ones in each; a `source.Rows`.

    Attributes:
        rows: of the source
        base: number of features of the source
        columns: of the ones, counted from ``base``: integers (n, 2)
    """

    rows: Rows
    base: int
    columns: np.ndarray

    def dot(self, weights: np.ndarray) -> np.ndarray:
        """``rows @ weights`` (float32 (dimensions,)): float32 (n,)."""
        own = weights[self.base :]
        return self.rows.dot(weights[: self.base]) + own[self.columns].sum(axis=1)

    def add_to(self, weights: np.ndarray, coefficients: np.ndarray, factor: float) -> None:
        """Add ``factor * (coefficients @ rows)`` to the weights."""
        self.rows.add_to(weights[: self.base], coefficients, factor)
        step = np.float32(factor) * coefficients
        np.add.at(weights[self.base :], self.columns, step[:, None])


class OwnLoss:
    """Features of a source, with what is known of each item from its reports.

    A `source.FeatureSource`. Each rank knows of its own reports, as `LossMemory`.

    Args:
        source: of the other features
        count: number of items
    """

    difficulty = None

    def __init__(self, source: FeatureSource, count: int) -> None:
        self._source, self.rows = source, count
        self.dimensions = source.dimensions + COLUMNS
        self.memory = LossMemory(count)
        self._times = np.zeros(count, dtype=np.uint8)

    def gather(self, ids: np.ndarray) -> _Beside:
        """Get rows of items by id (integers (n,)), in that order."""
        return _Beside(self._source.gather(ids), self._source.dimensions, self._columns(ids))

    def scores(self, ids: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """``gather(ids).dot(weights)`` (float32 (dimensions,)): float32 (n,)."""
        own = weights[self._source.dimensions :]
        base = self._source.scores(ids, weights[: self._source.dimensions])
        return base + own[self._columns(ids)].sum(axis=1)

    def record(self, ids: np.ndarray, losses: np.ndarray) -> None:
        """Remember finite losses, float32 (n,); what `gather` gives changes with them."""
        self.memory.record(ids, losses)
        self._times[ids] = np.minimum(self._times[ids], _TIMES - 2) + 1

    def state_dict(self) -> dict[str, Any]:
        """Copy the last losses, and how often each item was seen (uint8 (count,))."""
        return {"memory": self.memory.state_dict(), "times": self._times.copy()}

    def load_state_dict(self, state: dict[str, Any] | None) -> None:
        """Take over a saved state; None: forget everything.

        Raises:
            ValueError: the state is of another number of items
        """
        self.memory.load_state_dict(None if state is None else state["memory"])
        self._times[:] = 0 if state is None else state["times"]

    @staticmethod
    def merge(states: list[dict[str, Any]]) -> dict[str, Any]:
        """Merge what several ranks know: mean of the losses, sum of the times."""
        times = np.sum([state["times"] for state in states], axis=0, dtype=np.int64)
        return {
            "memory": LossMemory.merge([state["memory"] for state in states]),
            "times": np.minimum(times, _TIMES - 1).astype(np.uint8),
        }

    def _columns(self, ids: np.ndarray) -> np.ndarray:
        """Columns of the ones of each item: integers (n, 2)."""
        last = self.memory.of(ids)
        # NaN while no loss is known; a mean of 0 makes the ratios infinite or NaN
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            ratios = last / np.float32(self.memory.mean)
        found: np.ndarray = np.searchsorted(_LIMITS, ratios)
        columns = np.where(np.isnan(last), _UNKNOWN, 1 + found)
        return np.stack([columns, _LOSSES + self._times[ids].astype(np.int64)], axis=1)
