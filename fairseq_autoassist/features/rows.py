"""Rows of features in memory, sparse and dense; each is a `core.source.Rows`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp


@dataclass(frozen=True, eq=False)
class CsrRows:
    """Rows of a sparse matrix.

    Attributes:
        matrix: CSR float32 (n, dimensions)
    """

    matrix: sp.csr_array

    def dot(self, weights: np.ndarray) -> np.ndarray:
        """``matrix @ weights`` (float32 (dimensions,)): float32 (n,)."""
        return self.matrix @ weights

    def add_to(self, weights: np.ndarray, coefficients: np.ndarray, factor: float) -> None:
        """Add ``factor * (coefficients @ matrix)`` to the weights, in time of the non-zeros."""
        step = np.repeat(coefficients, np.diff(self.matrix.indptr)) * self.matrix.data
        step *= np.float32(factor)
        # .at, because a feature may occur in several rows
        np.add.at(weights, self.matrix.indices, step)


@dataclass(frozen=True, eq=False)
class DenseRows:
    """Rows of a dense matrix.

    Sums are those of `numpy.einsum`, which uses no BLAS. Those of a BLAS depend on its number of
    threads, and a worker process has another number than the training loop.

    Attributes:
        matrix: float32 (n, dimensions)
    """

    matrix: np.ndarray

    def dot(self, weights: np.ndarray) -> np.ndarray:
        """``matrix @ weights`` (float32 (dimensions,)): float32 (n,)."""
        return np.einsum("ij,j->i", self.matrix, weights)

    def add_to(self, weights: np.ndarray, coefficients: np.ndarray, factor: float) -> None:
        """Add ``factor * (coefficients @ matrix)`` to the weights."""
        weights += np.float32(factor) * np.einsum("i,ij->j", coefficients, self.matrix)
