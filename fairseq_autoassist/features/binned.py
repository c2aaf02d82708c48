"""Statistics of a pair as features: one column for each bin of each statistic.

``autoassist-agreement`` measures how far the two sides of a pair agree, and writes the bin of every
statistic. The Assistant can learn more from the bins than the prior tells.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import scipy.sparse as sp

from ..core.source import FeatureSource
from ..errors import FeatureError
from .commands import AGREEMENT_COMMAND
from .files import map_file
from .rows import CsrRows


class CsrSource(FeatureSource, Protocol):
    """A `core.source.FeatureSource` of sparse rows."""

    def gather(self, ids: np.ndarray) -> CsrRows:
        """Get rows of pairs by id (integers (n,)), in that order."""


class Codes(NamedTuple):
    """Names a file of bins; it is sent to the worker in place of them.

    Attributes:
        path: of a file of uint8 (rows, statistics), each in [0, bins)
        statistics: names of the statistics
        bins: number of bins of each statistic
        sha256: of the values in all data-bins of a run, in hex; empty: not known
        command: that writes the file again, for error messages
    """

    path: str
    statistics: tuple[str, ...]
    bins: int
    sha256: str = ""
    command: str = AGREEMENT_COMMAND

    @property
    def columns(self) -> int:
        """Number of features that the bins make."""
        return len(self.statistics) * self.bins

    def open(self, rows: int) -> np.ndarray:
        """Map the bins of ``rows`` pairs: uint8 (rows, statistics).

        Raises:
            FeatureError: the file is missing, too short or too long; the message names the command
        """
        count = rows * len(self.statistics)
        flat = map_file(Path(self.path), count, np.uint8, self.command, force=False)
        return flat.reshape(rows, len(self.statistics))


class Binned:
    """Features extended by a column for each bin of each statistic; a `FeatureSource`.

    Statistic s with code c is column ``features.dimensions + s * bins + c``. Its value is
    1 / sqrt(number of statistics). So these columns are a third block of norm 1, beside those of
    source and target.

    Args:
        features: that are extended
        codes: uint8 (rows, statistics), each in [0, bins)
        bins: number of bins of each statistic
        where: file of the codes, which is pickled in their place; None: they are pickled

    Raises:
        ValueError: ``codes`` of another shape
    """

    def __init__(
        self, features: CsrSource, codes: np.ndarray, bins: int, where: Codes | None = None
    ) -> None:
        if codes.ndim != 2 or len(codes) != features.rows or not codes.shape[1]:
            raise ValueError(
                f"codes of shape {codes.shape}, expected ({features.rows}, statistics)"
            )
        self.features, self.codes, self.bins, self._where = features, codes, bins, where
        self._starts = bins * np.arange(codes.shape[1], dtype=np.int64)
        self._value = np.float32(1.0 / math.sqrt(codes.shape[1]))

    @classmethod
    def open(cls, features: CsrSource, codes: Codes) -> Binned:
        """Extend features by the bins of a file, which is mapped.

        Raises:
            FeatureError: the file is missing, too short or too long
        """
        return cls(features, codes.open(features.rows), codes.bins, codes)

    def __reduce__(self) -> tuple[Any, ...]:
        if self._where is None:
            return Binned, (self.features, self.codes, self.bins)
        return Binned.open, (self.features, self._where)

    @property
    def rows(self) -> int:
        """Number of pairs."""
        return self.features.rows

    @property
    def dimensions(self) -> int:
        """Number of features, with the bins of all statistics."""
        return self.features.dimensions + self.codes.shape[1] * self.bins

    @property
    def difficulty(self) -> np.ndarray | None:
        """Difficulty that the extended features have: float32 (rows,), or None."""
        return self.features.difficulty

    def gather(self, ids: np.ndarray) -> CsrRows:
        """Get rows of pairs by id (integers (n,)), in that order.

        Raises:
            FeatureError: a code is outside [0, bins)
        """
        rows = self.features.gather(ids).matrix
        columns = self._columns(ids)
        pointers = columns.shape[1] * np.arange(len(columns) + 1, dtype=np.int64)
        values = np.full(columns.size, self._value, dtype=np.float32)
        shape = len(columns), self.codes.shape[1] * self.bins
        mine = sp.csr_array((values, columns.ravel(), pointers), shape=shape)
        return CsrRows(sp.hstack([rows, mine], format="csr"))

    def scores(self, ids: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """``gather(ids).dot(weights)`` (float32 (dimensions,)): float32 (n,), without a matrix.

        Raises:
            FeatureError: a code is outside [0, bins)
        """
        split = self.features.dimensions
        mine = weights[split:][self._columns(ids)].sum(axis=1, dtype=np.float32)
        return self.features.scores(ids, weights[:split]) + self._value * mine

    def _columns(self, ids: np.ndarray) -> np.ndarray:
        """Columns of the bins of each pair, counted from the first bin: int64 (n, statistics)."""
        codes = self.codes[ids]
        if codes.size and int(codes.max()) >= self.bins:
            where = self._where or Codes("the array of bins", (), self.bins)
            raise FeatureError(
                f"{where.path} is damaged: found bin {int(codes.max())}, expected 0 to "
                f"{self.bins - 1}; write it again with: {where.command}"
            )
        return codes + self._starts
