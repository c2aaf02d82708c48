"""Features that are held in memory: what a training loop has at hand, dense or sparse."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from ..core.source import FeatureSource
from .dense import DenseFeatures, MatrixFeatures
from .rows import CsrRows


class SparseFeatures(MatrixFeatures):
    """Features in a sparse matrix: CSR float32 (items, dimensions)."""

    def gather(self, ids: np.ndarray) -> CsrRows:
        """As `MatrixFeatures.gather`."""
        return CsrRows(self._rows_of(ids))


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
