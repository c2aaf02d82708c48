"""Items in order of length, cut into batches: the ends of batches, and their number in a pass.

The order and the cuts are those of batch_by_size in fairseq.data.data_utils.
"""

from __future__ import annotations

from typing import Sequence

import numpy as np

from .batching import BatchLimits, parts
from .items import Items, longest

# Largest data set that is sorted, in a tenth of a second; of larger ones batches are estimated.
MOST_ITEMS = 100_000


def cut(sizes: np.ndarray, limits: BatchLimits) -> np.ndarray:
    """Cut items in this order into batches; gives where each ends.

    Args:
        sizes: of each item, integers, shape (n,)
        limits: of a batch

    Returns:
        int64, ascending, the last one n; the last batch may have fewer items than
        ``limits.multiple``

    Raises:
        ValueError: an item is larger than a batch may be
    """
    most = max(1, limits.of_size(1))
    ends, start = [0], 0
    while start < len(sizes):
        fits = limits.fitting(sizes[start : start + most])
        if fits == 0:
            raise ValueError(f"an item of size {sizes[start]} exceeds {limits}")
        start += limits.rounded(fits)
        ends.append(start)
    return np.array(ends[1:], dtype=np.int64)


def by_length(lengths: Sequence[np.ndarray], count: int) -> np.ndarray:
    """Order in which ``count`` items are cut: by the first side, then by the second.

    Args:
        lengths: of each side, shape (count,) each; none: the items stay as they are
    """
    return np.lexsort(tuple(reversed(lengths))) if lengths else np.arange(count)


def batches_of_pass(items: Items, limits: BatchLimits) -> float:
    """Number of batches of a pass in which every item is kept, over all ranks.

    It is exact up to 100,000 items. Beyond, it is an estimate as if all items of a batch had one
    size, mostly a few per cent too low.
    """
    if items.eligible_count <= MOST_ITEMS:
        return float(_counted(items, limits))
    counts = _by_size(items)
    sizes = np.flatnonzero(counts).tolist()
    return float(sum(counts[size] / limits.of_size(size) for size in sizes))


def _counted(items: Items, limits: BatchLimits) -> int:
    """Number of batches without a last one that is no multiple, which batch_by_size leaves out."""
    count, ids = items.eligible_count, _eligible(items)
    lengths = [side[ids] for side in items.lengths]
    sizes = longest(lengths, count)[by_length(lengths, count)]
    batches = np.diff(cut(sizes, limits), prepend=0)
    return max(1, len(batches) - bool(batches[-1] % limits.multiple))


def _by_size(items: Items) -> np.ndarray:
    """Number of eligible items of size 0, 1, 2, ...: int64."""
    if not items.lengths:
        return np.array([0, items.eligible_count])
    counts, ids = np.zeros(1, dtype=np.int64), _eligible(items)
    for part in parts(items.eligible_count):
        chosen = part if isinstance(ids, slice) else ids[part]
        sides = [side[chosen] for side in items.lengths]
        found = np.bincount(longest(sides, len(sides[0])))
        total = np.zeros(max(len(counts), len(found)), dtype=np.int64)
        total[: len(counts)] += counts
        total[: len(found)] += found
        counts = total
    return counts


def _eligible(items: Items) -> np.ndarray | slice:
    return slice(None) if items.eligible is None else items.eligible
