"""A whole pass cut into batches as fairseq's own epoch is, and dealt out over the ranks.

The batches are cut before they are dealt out, since a rank's share alone, being sparser, would make
a few per cent more of them.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from .batching import BatchLimits, compact, pair_tokens
from .stock import cut, fairseq_order

# A pass of fewer batches on each rank takes in the pairs left over at its end; of more, they are
# one batch more.
_MANY = 100


class Dealer:
    """Makes batches of pairs by id.

    Args:
        source_sizes, target_sizes: tokens per sentence, shape (pairs,)
        limits: of a batch
    """

    def __init__(
        self, source_sizes: np.ndarray, target_sizes: np.ndarray, limits: BatchLimits
    ) -> None:
        self._source, self._target = compact(source_sizes), compact(target_sizes)
        self.limits = limits

    def under(self, limits: BatchLimits) -> Dealer:
        """One of the same pairs, under other limits."""
        return Dealer(self._source, self._target, limits)

    def batches(self, ids: np.ndarray, ranks: int = 1) -> list[np.ndarray]:
        """Batches of all these pairs, by ascending length: as many for each rank, where there are
        pairs for it.

        Args:
            ids: of the pairs, in the order that those of the same lengths keep, shape (n,)
            ranks: among which the batches are dealt out

        Returns:
            indices into ``ids``, int64

        Raises:
            ValueError: a pair is longer than a batch may be
        """
        if len(ids) == 0:
            return []
        source, target = self._source[ids], self._target[ids]
        order = fairseq_order(source, target)
        tokens = pair_tokens(source, target)[order]
        ends = cut_whole(tokens, self.limits, _MANY * ranks)
        return np.split(order, _for_all(ends, ranks, self.limits.multiple)[:-1])


def cut_whole(tokens: np.ndarray, limits: BatchLimits, many: int = _MANY) -> np.ndarray:
    """Where batches of all pairs in this order end: as many as fairseq's, or one more.

    fairseq leaves out what is less than ``limits.multiple`` at the end. Here it is a batch more
    where there are many. Where there are few, the last batches take it in, as far as they have the
    room, which rounding to the multiple had left.

    Args:
        tokens: length of each pair (the longer side), integers, shape (n,)
        limits: of a batch
        many: batches

    Returns:
        int64, ascending, the last one n

    Raises:
        ValueError: a pair is longer than a batch may be
    """
    ends = cut(tokens, limits)
    full = len(ends) - 1
    left = len(tokens) - (ends[-2] if full else 0)
    if full >= many or left % limits.multiple == 0:
        return ends
    exact = dataclasses.replace(limits, multiple=1)
    found, first, after = ends, 0, full
    while first < after:  # the last of the batches from which on rounding less is enough
        middle = (first + after) // 2
        start = int(ends[middle - 1]) if middle else 0
        last = start + cut(tokens[start:], exact)
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
