"""Interface between the Assistant and any store of features."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ..errors import FeatureError


class Rows(Protocol):
    """Features of some items, a row each: (n, dimensions)."""

    def dot(self, weights: np.ndarray) -> np.ndarray:
        """``rows @ weights`` (float32 (dimensions,)): float32 (n,)."""

    def add_to(self, weights: np.ndarray, coefficients: np.ndarray, factor: float) -> None:
        """``weights += factor * (coefficients @ rows)``, in place.

        Args:
            weights: float32 (dimensions,)
            coefficients: of the rows, float32 (n,)
            factor: rounded to float32
        """


class FeatureSource(Protocol):
    """Features by item id; `features.store.Features` and `features.dense.DenseFeatures` are two."""

    @property
    def rows(self) -> int:
        """Number of items."""

    @property
    def dimensions(self) -> int:
        """Number of features of an item."""

    @property
    def difficulty(self) -> np.ndarray | None:
        """Difficulty of each item, float32 (rows,), for a curriculum; None: not known."""

    def gather(self, ids: np.ndarray) -> Rows:
        """Get rows of items by id (integers (n,)), in that order."""

    def scores(self, ids: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """``gather(ids).dot(weights)`` (float32 (dimensions,)): float32 (n,)."""


class FeatureOpener(Protocol):
    """Names features. It is pickled and sent to the worker process in their place."""

    def open(self) -> FeatureSource:
        """Open the features.

        Raises:
            FeatureError: they are missing or damaged
        """


class NoFeatures:
    """Replaces features that may have failed, in a planner that goes on without them."""

    difficulty = None

    def __init__(self, dimensions: int) -> None:
        self.rows, self.dimensions = 0, dimensions

    def gather(self, ids: np.ndarray) -> Rows:
        """Always raises FeatureError."""
        raise FeatureError("the features are not read any more")

    def scores(self, ids: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Always raises FeatureError."""
        raise FeatureError("the features are not read any more")
