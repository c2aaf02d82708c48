"""A whole pass, cut into batches in order of length, which are dealt out over the ranks.

The batches are cut before they are dealt out: cut from a rank's share, which is sparser, they would
be a few per cent more.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from .batching import BatchLimits
from .cutting import by_length, cut
from .items import longest

# Items left over at the end of a pass make one batch more where each rank has at least so many
# batches. Otherwise the last batches take them in.
_MANY = 100


class Dealer:
    """Makes batches of items by id.

    Args:
        lengths: of each side that a batch pads, shape (items,) each
        limits: of a batch
    """

    def __init__(self, lengths: tuple[np.ndarray, ...], limits: BatchLimits) -> None:
        self._lengths, self.limits = lengths, limits

    def under(self, limits: BatchLimits) -> Dealer:
        """Dealer of the same items under other limits."""
        return Dealer(self._lengths, limits)

    def batches(self, ids: np.ndarray, ranks: int = 1) -> list[np.ndarray]:
        """Cut all these items into batches by ascending length, as many for each rank.

        Ranks differ in their number only where there are too few items.

        Args:
            ids: of the items; those of the same lengths keep this order, shape (n,)
            ranks: number of ranks that get batches

        Returns:
            indices into ``ids``, int64

        Raises:
            ValueError: an item is larger than a batch may be
        """
        if len(ids) == 0:
            return []
        lengths = [side[ids] for side in self._lengths]
        order = by_length(lengths, len(ids))
        sizes = longest(lengths, len(ids))[order]
        ends = cut_whole(sizes, self.limits, _MANY * ranks)
        return np.split(order, _for_all(ends, ranks, self.limits.multiple)[:-1])


def cut_whole(sizes: np.ndarray, limits: BatchLimits, many: int = _MANY) -> np.ndarray:
    """Cut all items in this order into batches, with none left out at the end.

    `cut` ends with a batch of fewer than ``limits.multiple`` items. Where there are many batches it
    stays. Otherwise the last batches take its items in, into the room that rounding had left.

    Args:
        sizes: of each item, integers, shape (n,)
        limits: of a batch
        many: number of batches from which on a small last one stays

    Returns:
        where each batch ends: int64, ascending, the last one n

    Raises:
        ValueError: an item is larger than a batch may be
    """
    ends = cut(sizes, limits)
    full = len(ends) - 1
    left = len(sizes) - (ends[-2] if full else 0)
    if full >= many or left % limits.multiple == 0:
        return ends
    exact = dataclasses.replace(limits, multiple=1)
    found, first, after = ends, 0, full
    while first < after:  # search for the last batch from which on less rounding is enough
        middle = (first + after) // 2
        start = int(ends[middle - 1]) if middle else 0
        last = start + cut(sizes[start:], exact)
        if len(last) <= full - middle:
            found, first = np.concatenate([ends[:middle], last]), middle + 1
        else:
            after = middle
    return found


def _for_all(ends: np.ndarray, ranks: int, multiple: int) -> np.ndarray:
    """Cut the largest batches in two until the number of batches is a multiple of the ranks."""
    ends = np.concatenate([[0], ends])
    while (len(ends) - 1) % ranks:
        sizes = np.diff(ends)
        largest = int(np.argmax(sizes))
        half = int(sizes[largest]) // 2
        if half == 0:  # each holds one item
            break
        half -= half % multiple if half >= multiple else 0
        ends = np.insert(ends, largest + 1, ends[largest] + half)
    return ends[1:]
