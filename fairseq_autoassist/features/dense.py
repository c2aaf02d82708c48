"""Dense features: item ids -> rows of a matrix, in memory or mapped from a ``.npy`` file."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import FeatureError
from .ids import checked
from .rows import DenseRows


class DenseFeatures:
    """Features in a matrix, whose row i belongs to item id i; a `core.source.FeatureSource`.

    Args:
        matrix: float32 (items, dimensions); may be mapped

    Raises:
        FeatureError: it has another shape or type, or no rows or columns
    """

    difficulty = None

    def __init__(self, matrix: np.ndarray) -> None:
        if matrix.ndim != 2 or matrix.dtype != np.float32 or not matrix.size:
            raise FeatureError(
                f"found features of type {matrix.dtype} with shape {matrix.shape}, expected "
                "float32 with shape (items, dimensions); make them with: "
                "matrix.astype(numpy.float32)"
            )
        self.matrix = matrix

    @property
    def rows(self) -> int:
        """Number of items."""
        return len(self.matrix)

    @property
    def dimensions(self) -> int:
        """Number of features of an item."""
        return self.matrix.shape[1]

    def gather(self, ids: np.ndarray) -> DenseRows:
        """Get rows of items by id (integers (n,)), in that order.

        Raises:
            TypeError: ids are not integers. IndexError: an id is outside [0, rows).
        """
        return DenseRows(self.matrix[checked(ids, self.rows, "the features")])

    def scores(self, ids: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """``gather(ids).dot(weights)`` (float32 (dimensions,)): float32 (n,).

        Raises:
            TypeError, IndexError: as `gather`
        """
        return self.gather(ids).dot(weights)


class DenseFile(NamedTuple):
    """Names a ``.npy`` file of dense features; a `core.source.FeatureOpener`.

    Attributes:
        path: of what ``numpy.save`` wrote: float32 (items, dimensions)
    """

    path: str

    def open(self) -> DenseFeatures:
        """Map the file; pages are read with their rows.

        Raises:
            FeatureError: the file is missing, or holds something else
        """
        try:
            matrix = np.load(Path(self.path), mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            reason = " ".join(str(error).split())
            raise FeatureError(
                f"cannot read features from {self.path} ({reason}), expected a float32 matrix; "
                "write it with: numpy.save"
            ) from error
        return DenseFeatures(matrix)
