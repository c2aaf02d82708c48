"""Features that are held in memory: what a training loop has at hand, dense or sparse."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from ..core.source import FeatureSource
from .dense import DenseFeatures
from .ids import checked
from .rows import CsrRows


class SparseFeatures:
    """Row i of a sparse matrix belongs to item id i; a `core.source.FeatureSource`.

    Args:
        matrix: CSR float32 (items, dimensions)
    """

    difficulty = None

    def __init__(self, matrix: sp.csr_array) -> None:
        self.matrix = matrix

    @property
    def rows(self) -> int:
        """Number of items."""
        return self.matrix.shape[0]

    @property
    def dimensions(self) -> int:
        """Number of features of an item."""
        return self.matrix.shape[1]

    def gather(self, ids: np.ndarray) -> CsrRows:
        """Rows of items by id (integers (n,)), in that order.

        Raises:
            TypeError: ids are not integers. IndexError: an id is outside [0, rows).
        """
        return CsrRows(self.matrix[checked(ids, self.rows, "the features")])

    def scores(self, ids: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """``gather(ids).dot(weights)`` (float32 (dimensions,)): float32 (n,).

        Raises:
            TypeError, IndexError: as `gather`
        """
        return self.gather(ids).dot(weights)


class HeldFeatures(NamedTuple):
    """Names features by the matrix itself; a `core.source.FeatureOpener`.

    Attributes:
        matrix: float32 (items, dimensions), an array or CSR
    """

    matrix: Any

    def open(self) -> FeatureSource:
        """The features of this matrix."""
        kind = SparseFeatures if sp.issparse(self.matrix) else DenseFeatures
        return kind(self.matrix)
