"""Kept items -> batches, under limits of their size.

A kept item goes into its open bucket. When the next item no longer fits, the bucket is a batch.
Items that the required multiple cuts off stay in the bucket.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

#: A kept item until it is trained on. `uniform`: the first coin kept it.
KEPT = np.dtype([("id", np.int64), ("uniform", np.bool_), ("weight", np.float32)])

_PART = 1 << 18


@dataclass(frozen=True)
class BatchLimits:
    """Limits of a batch.

    Attributes:
        max_size: number of items times the size of the largest, as padding has it; None: any
        max_items: number of items; None: any
        multiple: the number of items is a multiple of it, where there are at least so many
    """

    max_size: int | None = None
    max_items: int | None = None
    multiple: int = 1

    def fitting(self, sizes: np.ndarray) -> int:
        """Count how many of the first items fit into one batch.

        Args:
            sizes: of each item, in order, shape (n,)
        """
        count = len(sizes)
        if self.max_items is not None:
            count = min(count, self.max_items)
        if self.max_size is not None:
            padded = np.maximum.accumulate(sizes[:count]).astype(np.int64)
            padded *= np.arange(1, count + 1)
            count = int(np.searchsorted(padded, self.max_size, side="right"))
        return count

    def of_size(self, size: int) -> int:
        """Number of items of one size in a batch, at least 1."""
        count = self.max_items or sys.maxsize
        if self.max_size is not None:
            count = min(count, self.max_size // max(size, 1))
        return max(1, self.rounded(count))

    def rounded(self, count: int) -> int:
        """``count`` cut to the required multiple, if it is at least that."""
        return count - count % self.multiple if count >= self.multiple else count


def parts(count: int) -> list[slice]:
    """Slices that cover ``count`` items, so that work arrays of 8 bytes an item stay small."""
    return [slice(start, start + _PART) for start in range(0, count, _PART)]


def compact(sizes: np.ndarray) -> np.ndarray:
    """Convert integers from 0 to one, two or four bytes each, where that is enough."""
    most = int(sizes.max(initial=0))
    for kind in (np.uint8, np.uint16, np.int32):
        if most <= np.iinfo(kind).max:
            return sizes.astype(kind, copy=False)
    return sizes.astype(np.int64, copy=False)


class Buckets:
    """Open buckets, which turn kept items into batches.

    Args:
        assignment: bucket of each item id, shape (items,)
        sizes: of each item id, shape (items,)
        count: number of buckets
        limits: of a batch
        full: whether a bucket waits until it has a full batch, for however many passes
    """

    def __init__(
        self,
        assignment: np.ndarray,
        sizes: np.ndarray,
        count: int,
        limits: BatchLimits,
        full: bool = False,
    ) -> None:
        self._assignment, self._sizes, self._limits = assignment, sizes, limits
        self._full = full
        self._open: list[list[np.ndarray]] = [[] for _ in range(count)]
        self._count = np.zeros(count, dtype=np.int64)
        self._longest = np.zeros(count, dtype=np.int64)
        self._emitted = np.zeros(count, dtype=bool)  # a batch since the last end of a pass

    def add(self, kept: np.ndarray) -> list[np.ndarray]:
        """Put items into their buckets.

        Args:
            kept: array of `KEPT`, in the order in which the items were kept

        Returns:
            the complete batches, arrays of `KEPT`, in the order of their completion; they are
            those that items added one by one would make
        """
        if len(kept) == 0:
            return []
        bucket = self._assignment[kept["id"]]
        order = np.argsort(bucket, kind="stable")
        kept, bucket = kept[order], bucket[order]
        sizes = self._sizes[kept["id"]].astype(np.int64)
        starts = np.flatnonzero(np.r_[True, bucket[1:] != bucket[:-1]])
        ends = np.r_[starts[1:], len(kept)]
        touched = bucket[starts]
        count = self._count[touched] + (ends - starts)
        longest = np.maximum(self._longest[touched], np.maximum.reduceat(sizes, starts))
        self._count[touched], self._longest[touched] = count, longest
        full = self._overfull(count, longest)
        complete: list[tuple[int, np.ndarray]] = []
        for index, start, end, is_full in zip(
            touched.tolist(), starts.tolist(), ends.tolist(), full.tolist()
        ):
            self._open[index].append(kept[start:end])
            if is_full:
                complete += self._cut(index, order[start:end])
        complete.sort(key=lambda item: item[0])
        return [batch for _, batch in complete]

    def again(self, kept: np.ndarray) -> list[np.ndarray]:
        """Put back items that were in batches before, an array of `KEPT`; returns as `add` does."""
        return self.add(kept)

    def end_of_pass(self) -> list[np.ndarray]:
        """Cut batches from the buckets that gave none in the pass that ends.

        Otherwise items of rare lengths would wait for many passes, and come twice in one batch.
        """
        if self._full:
            return []
        batches = []
        for index in np.flatnonzero(~self._emitted & (self._count > 0)).tolist():
            items = self._take(index)
            size = self._limits.rounded(len(items))
            batches.append(items[:size])
            self._put(index, items[size:])
        self._emitted[:] = False
        return batches

    def take_all(self) -> np.ndarray:
        """Empty all buckets; returns their items, an array of `KEPT`."""
        items = [self._take(index) for index in range(len(self._open))]
        return np.concatenate(items) if items else np.empty(0, KEPT)

    def state_dict(self) -> dict[str, Any]:
        """Numpy arrays of the open items, bucket after bucket."""
        items = [np.concatenate(bucket) if bucket else np.empty(0, KEPT) for bucket in self._open]
        return {
            "kept": np.concatenate(items),
            "count": self._count.copy(),
            "emitted": self._emitted.copy(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> list[np.ndarray]:
        """Take over saved buckets, or the pool of `WholePass`.

        Returns:
            the batches that the items of a pool complete, as `add` does

        Raises:
            ValueError: another number of buckets was saved
        """
        if "count" not in state:
            return self.add(state["kept"])
        if len(state["count"]) != len(self._open):
            raise ValueError(
                f"saved with {len(state['count'])} buckets, expected {len(self._open)}"
            )
        parts = np.split(state["kept"], np.cumsum(state["count"])[:-1])
        for index, items in enumerate(parts):
            self._put(index, items)
        self._emitted = np.array(state["emitted"], dtype=bool)
        return []

    def _overfull(self, count: np.ndarray, longest: np.ndarray) -> np.ndarray:
        full = np.zeros(len(count), dtype=bool)
        if self._limits.max_size is not None:
            full |= count * longest > self._limits.max_size
        if self._limits.max_items is not None:
            full |= count > self._limits.max_items
        return full

    def _cut(self, index: int, arrival: np.ndarray) -> list[tuple[int, np.ndarray]]:
        """Cut an overfull bucket into batches, each with the arrival of the item that closed it."""
        items = self._take(index)
        sizes = self._sizes[items["id"]]
        fresh = len(items) - len(arrival)  # index of the first item that arrived just now
        batches = []
        while True:
            fits = self._limits.fitting(sizes)
            if fits == len(items):
                break
            if fits == 0:
                raise ValueError(f"item {items['id'][0]} of size {sizes[0]} exceeds {self._limits}")
            size = self._limits.rounded(fits)
            batches.append((int(arrival[fits - fresh]), items[:size]))
            items, sizes, fresh = items[size:], sizes[size:], fresh - size
        self._put(index, items)
        self._emitted[index] = True
        return batches

    def _take(self, index: int) -> np.ndarray:
        bucket = self._open[index]
        self._open[index] = []
        self._count[index] = self._longest[index] = 0
        return np.concatenate(bucket) if bucket else np.empty(0, KEPT)

    def _put(self, index: int, items: np.ndarray) -> None:
        self._open[index] = [items] if len(items) else []
        self._count[index] = len(items)
        self._longest[index] = int(self._sizes[items["id"]].max()) if len(items) else 0


def kept_items(ids: np.ndarray, uniform: Any = True) -> np.ndarray:
    """Items by id (int64 (n,)) as an array of `KEPT`, each of weight 1.

    Args:
        ids: of the items
        uniform: whether they are a uniform sample, bool, or bool (n,)
    """
    kept = np.empty(len(ids), KEPT)
    kept["id"], kept["uniform"], kept["weight"] = ids, uniform, 1.0
    return kept


def without(items: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """Remove from ``items`` one occurrence of an item for each of its occurrences in ``taken``."""
    ids, taken_ids = items["id"], np.sort(taken["id"])
    times = np.searchsorted(taken_ids, ids, "right") - np.searchsorted(taken_ids, ids, "left")
    return items[occurrences(ids) >= times]


def occurrences(ids: np.ndarray) -> np.ndarray:
    """Count how often each of ``ids`` (integers (n,)) comes before in them: int64 (n,)."""
    order = np.argsort(ids, kind="stable")
    ascending = ids[order]
    found = np.empty(len(ids), dtype=np.int64)
    found[order] = np.arange(len(ids)) - np.searchsorted(ascending, ascending, side="left")
    return found
