"""A whole pass cut into batches as fairseq's own epoch is, and dealt out over the ranks.

The batches are cut before they are dealt out, since a rank's share alone, being sparser, would make
a few per cent more of them.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from .batching import BatchLimits
from .cutting import by_length, cut
from .items import longest

# A pass of fewer batches on each rank takes in the pairs left over at its end; of more, they are
# one batch more.
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
        """One of the same items, under other limits."""
        return Dealer(self._lengths, limits)

    def batches(self, ids: np.ndarray, ranks: int = 1) -> list[np.ndarray]:
        """Batches of all these pairs, by ascending length: as many for each rank, where there are
        pairs for it.

        Args:
            ids: of the pairs, in the order that those of the same lengths keep, shape (n,)
            ranks: among which the batches are dealt out

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
    """Where batches of all pairs in this order end: as many as fairseq's, or one more.

    fairseq leaves out what is less than ``limits.multiple`` at the end. Here it is a batch more
    where there are many. Where there are few, the last batches take it in, as far as they have the
    room, which rounding to the multiple had left.

    Args:
        sizes: of each item, integers, shape (n,)
        limits: of a batch
        many: batches

    Returns:
        int64, ascending, the last one n

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
    while first < after:  # the last of the batches from which on rounding less is enough
        middle = (first + after) // 2
        start = int(ends[middle - 1]) if middle else 0
        last = start + cut(sizes[start:], exact)
        if len(last) <= full - middle:
            found, first = np.concatenate([ends[:middle], last]), middle + 1
        else:
            after = middle
    return found


def _for_all(ends: np.ndarray, ranks: int, multiple: int) -> np.ndarray:
    """Some of the largest batches cut in two, until their number is a multiple of the ranks."""
    ends = np.concatenate([[0], ends])
    while (len(ends) - 1) % ranks:
        sizes = np.diff(ends)
        largest = int(np.argmax(sizes))
        half = int(sizes[largest]) // 2
        if half == 0:  # all are of one pair
            break
        half -= half % multiple if half >= multiple else 0
        ends = np.insert(ends, largest + 1, ends[largest] + half)
    return ends[1:]
