"""The prior: how likely each item is worth training on, known before training.

The planner multiplies P(keep) by it: one number in (0, 1] an item. It is data, so no failure of the
Assistant changes it.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

AGREEMENT, NONE = "agreement", "none"  # values of the option `prior`, beside a path
_CHUNK = 1 << 20  # items read at once


class Prior:
    """Prior of every item of a data set.

    Args:
        values: float32 (items,), each in [0, 1]
        floor: in (0, 1]: no item's prior is below it
        sha256: of the bytes of ``values``, in hex; None: taken here
    """

    def __init__(self, values: np.ndarray, floor: float, sha256: str | None = None) -> None:
        self.values, self.floor = values, floor
        self.sha256 = sha256 or digest(values)

    def in_memory(self) -> Prior | None:
        """Give the same prior, held in memory; None: the file it is mapped from has changed."""
        return self

    @property
    def identity(self) -> str:
        """Name of this prior, for checkpoints and messages."""
        return f"{self.sha256[:12]} with floor {self.floor:g}"

    def of(self, ids: np.ndarray) -> np.ndarray:
        """Look up the prior of items by id (integers (n,)): float32 (n,) in [floor, 1]."""
        return np.maximum(self.values[ids], np.float32(self.floor))

    def mean(self, eligible: np.ndarray | None = None) -> float:
        """Mean prior over the items ``eligible`` (ids), or over all, in [floor, 1]."""
        return self._average(lambda found: found, eligible)

    def share_below(self, bound: float) -> float:
        """Share of all items whose prior is below ``bound``, in [0, 1]."""
        return self._average(lambda found: found < bound, None)

    def _average(self, of: Any, eligible: np.ndarray | None) -> float:
        count = len(self.values) if eligible is None else len(eligible)
        total = 0.0
        for start in range(0, count, _CHUNK):
            part = slice(start, min(start + _CHUNK, count))
            ids = np.arange(part.start, part.stop) if eligible is None else eligible[part]
            total += float(of(self.of(ids)).sum(dtype=np.float64))
        return total / count if count else 1.0


def digest(*arrays: np.ndarray) -> str:
    """Sha256 of the bytes of one array or several, in hex; mapped ones are read in parts.

    Args:
        arrays: of any shape; rows of two dimensions are read whole
    """
    found = hashlib.sha256()
    for array in arrays:
        rows = max(1, _CHUNK // max(1, array[:1].size))
        for start in range(0, len(array), rows):
            found.update(array[start : start + rows].tobytes())
    return found.hexdigest()
