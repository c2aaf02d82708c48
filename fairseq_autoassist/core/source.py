"""What the Assistant needs of features, whatever stores them."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import scipy.sparse as sp

from ..errors import FeatureError


class FeatureSource(Protocol):
    """What the Assistant needs of features; ``Features`` is one, a benchmark may make another."""

    @property
    def rows(self) -> int:
        """Number of pairs."""

    @property
    def dimensions(self) -> int:
        """Number of features of a pair."""

    def gather(self, ids: np.ndarray) -> sp.csr_array:
        """Rows of pairs by id (integers (n,)): CSR float32 (n, dimensions)."""

    def scores(self, ids: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """``gather(ids) @ weights`` (float32 (dimensions,)): float32 (n,)."""


class NoFeatures:
    """Stands for features that may be what failed: a planner without its Assistant needs none."""

    def __init__(self, dimensions: int) -> None:
        self.rows, self.dimensions = 0, dimensions
        self.reference = np.empty(0, dtype=np.float32)

    def gather(self, ids: np.ndarray) -> sp.csr_array:
        """Not to be had."""
        raise FeatureError("the features are not read any more")

    def scores(self, ids: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Not to be had."""
        raise FeatureError("the features are not read any more")
