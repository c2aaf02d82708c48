"""Kept pairs -> batches, under fairseq's limits.

A kept pair goes into the open bucket of its length; when the next pair no longer fits, the bucket
is a batch. What `--required-batch-size-multiple` cuts off stays in the bucket: no pair is lost.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

#: What is remembered of a kept pair until it is trained on. `uniform`: kept by the first coin.
KEPT = np.dtype([("id", np.int64), ("uniform", np.bool_), ("weight", np.float32)])

_PART = 1 << 18


@dataclass(frozen=True)
class BatchLimits:
    """fairseq's --max-tokens (padding included), --batch-size, --required-batch-size-multiple."""

    max_tokens: int | None = None
    max_sentences: int | None = None
    multiple: int = 1

    @property
    def flags(self) -> str:
        """As they are given to fairseq."""
        return (
            f"--max-tokens {self.max_tokens or 'none'}, --batch-size {self.max_sentences or 'none'}"
            f", --required-batch-size-multiple {self.multiple}"
        )

    def fitting(self, tokens: np.ndarray) -> int:
        """How many of the first pairs fit into one batch.

        Args:
            tokens: length of each pair (the longer side), in order, shape (n,)
        """
        count = len(tokens)
        if self.max_sentences is not None:
            count = min(count, self.max_sentences)
        if self.max_tokens is not None:
            padded = np.maximum.accumulate(tokens[:count]).astype(np.int64)
            padded *= np.arange(1, count + 1)
            count = int(np.searchsorted(padded, self.max_tokens, side="right"))
        return count

    def of_length(self, length: int) -> int:
        """How many pairs of one length (tokens) make a batch, at least 1."""
        count = self.max_sentences or sys.maxsize
        if self.max_tokens is not None:
            count = min(count, self.max_tokens // max(length, 1))
        return max(1, self.rounded(count))

    def rounded(self, count: int) -> int:
        """``count`` cut to the required multiple, if it is at least that."""
        return count - count % self.multiple if count >= self.multiple else count


def pair_tokens(source_sizes: np.ndarray, target_sizes: np.ndarray) -> np.ndarray:
    """Length of a pair as --max-tokens counts it: the longer side, in tokens with EOS."""
    return np.maximum(source_sizes, target_sizes)


def parts(count: int) -> list[slice]:
    """All pairs, some at a time: what takes 8 bytes a pair is then never there for all at once."""
    return [slice(start, start + _PART) for start in range(0, count, _PART)]


def compact(sizes: np.ndarray) -> np.ndarray:
    """Sizes in one or two bytes each where that is enough: they are held for every pair."""
    longest = int(sizes.max(initial=0))
    return sizes.astype(np.uint8 if longest < 2**8 else np.uint16 if longest < 2**16 else np.int32)


class Buckets:
    """Open buckets: kept pairs in, batches out.

    Args:
        assignment: bucket of each pair id, shape (pairs,)
        tokens: length of each pair id (the longer side), shape (pairs,)
        count: number of buckets
        limits: of a batch
        full: whether a bucket waits until it has a full batch, for however many passes
    """

    def __init__(
        self,
        assignment: np.ndarray,
        tokens: np.ndarray,
        count: int,
        limits: BatchLimits,
        full: bool = False,
    ) -> None:
        self._assignment, self._tokens, self._limits = assignment, tokens, limits
        self._full = full
        self._open: list[list[np.ndarray]] = [[] for _ in range(count)]
        self._count = np.zeros(count, dtype=np.int64)
        self._longest = np.zeros(count, dtype=np.int64)
        self._emitted = np.zeros(count, dtype=bool)  # a batch since the last end of a pass

    def __len__(self) -> int:
        """Number of pairs in open buckets."""
        return int(self._count.sum())

    def add(self, kept: np.ndarray) -> list[np.ndarray]:
        """Put pairs into their buckets.

        Args:
            kept: array of `KEPT`, in the order in which the pairs were kept

        Returns:
            the batches that are complete, arrays of `KEPT`, in the order of their completion: the
            same as if the pairs had come one by one
        """
        if len(kept) == 0:
            return []
        bucket = self._assignment[kept["id"]]
        order = np.argsort(bucket, kind="stable")
        kept, bucket = kept[order], bucket[order]
        tokens = self._tokens[kept["id"]].astype(np.int64)
        starts = np.flatnonzero(np.r_[True, bucket[1:] != bucket[:-1]])
        ends = np.r_[starts[1:], len(kept)]
        touched = bucket[starts]
        count = self._count[touched] + (ends - starts)
        longest = np.maximum(self._longest[touched], np.maximum.reduceat(tokens, starts))
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
        """Put pairs that were in batches before, an array of `KEPT`; returns as `add` does."""
        return self.add(kept)

    def end_of_pass(self) -> list[np.ndarray]:
        """Batches from the buckets that gave none in the pass that ends.

        Without this, pairs of rare lengths would wait for many passes and then meet themselves in
        one batch.
        """
        if self._full:
            return []
        batches = []
        for index in np.flatnonzero(~self._emitted & (self._count > 0)).tolist():
            pairs = self._take(index)
            size = self._limits.rounded(len(pairs))
            batches.append(pairs[:size])
            self._put(index, pairs[size:])
        self._emitted[:] = False
        return batches

    def take_all(self) -> np.ndarray:
        """Empty all buckets; returns what was in them, an array of `KEPT`."""
        pairs = [self._take(index) for index in range(len(self._open))]
        return np.concatenate(pairs) if pairs else np.empty(0, KEPT)

    def state_dict(self) -> dict[str, Any]:
        """The open pairs, bucket after bucket, as numpy arrays."""
        pairs = [np.concatenate(bucket) if bucket else np.empty(0, KEPT) for bucket in self._open]
        return {
            "pairs": np.concatenate(pairs),
            "count": self._count.copy(),
            "emitted": self._emitted.copy(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over saved buckets.

        Raises:
            ValueError: they were saved under another number of buckets
        """
        if len(state["count"]) != len(self._open):
            raise ValueError(f"saved with {len(state['count'])} buckets, not {len(self._open)}")
        parts = np.split(state["pairs"], np.cumsum(state["count"])[:-1])
        for index, pairs in enumerate(parts):
            self._put(index, pairs)
        self._emitted = np.array(state["emitted"], dtype=bool)

    def _overfull(self, count: np.ndarray, longest: np.ndarray) -> np.ndarray:
        full = np.zeros(len(count), dtype=bool)
        if self._limits.max_tokens is not None:
            full |= count * longest > self._limits.max_tokens
        if self._limits.max_sentences is not None:
            full |= count > self._limits.max_sentences
        return full

    def _cut(self, index: int, arrival: np.ndarray) -> list[tuple[int, np.ndarray]]:
        """Cut an overfull bucket into batches, each with the arrival of the pair that closed it."""
        pairs = self._take(index)
        tokens = self._tokens[pairs["id"]]
        fresh = len(pairs) - len(arrival)  # index of the first pair that arrived just now
        batches = []
        while True:
            fits = self._limits.fitting(tokens)
            if fits == len(pairs):
                break
            if fits == 0:
                raise ValueError(
                    f"pair {pairs['id'][0]} of {tokens[0]} tokens exceeds {self._limits}"
                )
            size = self._limits.rounded(fits)
            batches.append((int(arrival[fits - fresh]), pairs[:size]))
            pairs, tokens, fresh = pairs[size:], tokens[size:], fresh - size
        self._put(index, pairs)
        self._emitted[index] = True
        return batches

    def _take(self, index: int) -> np.ndarray:
        bucket = self._open[index]
        self._open[index] = []
        self._count[index] = self._longest[index] = 0
        return np.concatenate(bucket) if bucket else np.empty(0, KEPT)

    def _put(self, index: int, pairs: np.ndarray) -> None:
        self._open[index] = [pairs] if len(pairs) else []
        self._count[index] = len(pairs)
        self._longest[index] = int(self._tokens[pairs["id"]].max()) if len(pairs) else 0


def kept_pairs(ids: np.ndarray, uniform: Any = True) -> np.ndarray:
    """Pairs by id (int64 (n,)) as an array of `KEPT`, of weight 1.

    Args:
        ids: of the pairs
        uniform: whether they are a uniform sample, bool, or bool (n,)
    """
    kept = np.empty(len(ids), KEPT)
    kept["id"], kept["uniform"], kept["weight"] = ids, uniform, 1.0
    return kept


def without(pairs: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """``pairs`` less one occurrence of a pair for each of its occurrences in ``taken``."""
    order = np.argsort(pairs["id"], kind="stable")
    ids = pairs["id"][order]
    occurrence = np.arange(len(ids)) - np.searchsorted(ids, ids, side="left")
    taken_ids = np.sort(taken["id"])
    times = np.searchsorted(taken_ids, ids, "right") - np.searchsorted(taken_ids, ids, "left")
    return pairs[np.sort(order[occurrence >= times])]
