"""What is chosen from: numbered items, whatever they are."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Sequence

import numpy as np

from .batching import compact


@dataclass(frozen=True, eq=False)
class Items:
    """The items of a data set, as an adapter describes them; ids are 0 .. count - 1.

    Integers are held in one or two bytes each where that is enough. Images need no more than
    ``Items(count)``.

    Attributes:
        count: number of items
        eligible: ids that may be trained on (integers, ascending); None: all
        cost: of training on each, in any unit (target tokens, say): integers, shape (count,);
            None: 1 each
        lengths: of each side that a batch pads (tokens of the source and of the target, say):
            integers, shape (count,) each; none: nothing is padded, and an item's size is 1
        bucket: numbers from 0, shape (count,): items of one bucket make batches; None: all do
        difficulty: a number each, shape (count,), for a curriculum; None: not known

    Raises:
        ValueError: an array has another number of values than there are items, or negative ones
    """

    count: int
    eligible: np.ndarray | None = None
    cost: np.ndarray | None = None
    lengths: tuple[np.ndarray, ...] = ()
    bucket: np.ndarray | None = None
    difficulty: np.ndarray | None = None

    def __post_init__(self) -> None:
        held: dict[int, np.ndarray] = {}  # an array that is named twice is held once

        def small(name: str, values: np.ndarray | None) -> np.ndarray | None:
            if values is None:
                return None
            if len(values) != self.count:
                raise ValueError(f"{name} has {len(values)} values, expected {self.count}")
            if values.dtype.kind not in "iu":
                return values
            if values.min(initial=0) < 0:
                raise ValueError(f"{name} has the value {values.min()}, expected none below 0")
            if id(values) not in held:
                held[id(values)] = compact(values)
            return held[id(values)]

        for name in ("cost", "bucket", "difficulty"):
            object.__setattr__(self, name, small(name, getattr(self, name)))
        sides = tuple(small("lengths", side) for side in self.lengths)
        object.__setattr__(self, "lengths", sides)

    @property
    def eligible_count(self) -> int:
        """Number of items that may be trained on."""
        return self.count if self.eligible is None else len(self.eligible)

    @property
    def sizes(self) -> np.ndarray:
        """What the limit of a batch counts: the longest side of each, integers, shape (count,)."""
        return longest(self.lengths, self.count)

    @property
    def buckets(self) -> tuple[np.ndarray, int]:
        """Bucket of each, integers, shape (count,), and the number of buckets."""
        if self.bucket is None:
            return np.broadcast_to(np.uint8(0), (self.count,)), 1
        return self.bucket, int(self.bucket.max(initial=0)) + 1

    def __getstate__(self) -> dict[str, Any]:
        """Small, because sender and worker hold it several times over while it travels."""
        state = dict(vars(self))
        if self.eligible is not None:
            mask = np.zeros(self.count, dtype=bool)
            mask[self.eligible] = True
            state["eligible"] = np.packbits(mask)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        if state["eligible"] is not None:
            bits = np.unpackbits(state["eligible"], count=state["count"])
            state["eligible"] = np.flatnonzero(bits)
        vars(self).update(state)


def longest(lengths: Sequence[np.ndarray], count: int) -> np.ndarray:
    """The longest side of each of ``count`` items, integers (count,); 1 where there are no sides.

    Args:
        lengths: of each side, integers, shape (count,) each
    """
    if not lengths:
        return np.broadcast_to(np.uint8(1), (count,))
    return functools.reduce(np.maximum, lengths)
