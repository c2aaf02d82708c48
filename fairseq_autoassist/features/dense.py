"""Dense features: item ids -> rows of a matrix, in memory or mapped from a ``.npy`` file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..core.source import Rows
from ..errors import FeatureError
from .ids import checked
from .rows import DenseRows


class MatrixFeatures(ABC):
    """Features in a matrix, whose row i belongs to item id i; a `core.source.FeatureSource`.

    Args:
        matrix: float32 (items, dimensions), an array or CSR
    """

    difficulty = None

    def __init__(self, matrix: Any) -> None:
        self.matrix = matrix

    @property
    def rows(self) -> int:
        """Number of items."""
        return int(self.matrix.shape[0])

    @property
    def dimensions(self) -> int:
        """Number of features of an item."""
        return int(self.matrix.shape[1])

    @abstractmethod
    def gather(self, ids: np.ndarray) -> Rows:
        """Get rows of items by id (integers (n,)), in that order.

        Raises:
            TypeError: ids are not integers. IndexError: an id is outside [0, rows).
        """

    def scores(self, ids: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """``gather(ids).dot(weights)`` (float32 (dimensions,)): float32 (n,).

        Raises:
            TypeError, IndexError: as `gather`
        """
        return self.gather(ids).dot(weights)

    def _rows_of(self, ids: np.ndarray) -> Any:
        return self.matrix[checked(ids, self.rows, "the features")]


class DenseFeatures(MatrixFeatures):
    """Features in an array, which may be mapped.

    Raises:
        FeatureError: it has another shape or type, or no rows or columns
    """

    def __init__(self, matrix: np.ndarray) -> None:
        if matrix.ndim != 2 or matrix.dtype != np.float32 or not matrix.size:
            raise FeatureError(
                f"found features of type {matrix.dtype} with shape {matrix.shape}, expected "
                "float32 with shape (items, dimensions); make them with: "
                "matrix.astype(numpy.float32)"
            )
        super().__init__(matrix)

    def gather(self, ids: np.ndarray) -> DenseRows:
        """As `MatrixFeatures.gather`."""
        return DenseRows(self._rows_of(ids))


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
