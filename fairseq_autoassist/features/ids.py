"""Check of item ids, before rows are read."""

from __future__ import annotations

import numpy as np


def checked(ids: np.ndarray, rows: int, where: str) -> np.ndarray:
    """Check ids and convert them to int64.

    Args:
        ids: integers (n,), each in [0, rows)
        rows: number of items
        where: name of the features, for error messages

    Raises:
        TypeError: ids are not integers (n,)
        IndexError: an id is outside [0, rows)
    """
    ids = np.asarray(ids)
    if ids.ndim != 1 or (ids.size and ids.dtype.kind not in "iu"):
        # Floats are refused: float32 is exact only up to id 2**24.
        raise TypeError(f"ids must be integers (n,), found {ids.dtype} {ids.shape}")
    if ids.size and (ids.min() < 0 or ids.max() >= rows):
        raise IndexError(
            f"item ids from {ids.min()} to {ids.max()}, expected 0 to {rows - 1}: "
            f"{where} do not belong to the data set that is loaded"
        )
    return ids.astype(np.int64, copy=False)
