"""Items: what is chosen from, described by numbers alone."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Sequence

import numpy as np

from .batching import compact
from .prior import digest


@dataclass(frozen=True, eq=False)
class Items:
    """The items of a data set, as an adapter describes them; ids are 0 .. count - 1.

    Integers are held in one or two bytes each where that is enough. For images ``Items(count)`` is
    enough.

    Attributes:
        count: number of items
        eligible: ids that may be trained on (integers, ascending); None: all
        cost: of training on each, in any unit, such as target tokens: integers, shape (count,);
            None: 1 each
        lengths: of each side that a batch pads, such as tokens of source and target: integers,
            shape (count,) each; none: nothing is padded, and each size is 1
        bucket: of each, integers from 0, shape (count,); only items of one bucket share a batch;
            None: all are in one
        difficulty: of each, shape (count,), for a curriculum; None: not known

    Raises:
        ValueError: an array has a negative value, or not one value an item
    """

    count: int
    eligible: np.ndarray | None = None
    cost: np.ndarray | None = None
    lengths: tuple[np.ndarray, ...] = ()
    bucket: np.ndarray | None = None
    difficulty: np.ndarray | None = None

    def __post_init__(self) -> None:
        held: dict[int, np.ndarray] = {}  # an array that is given twice is held once

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
        """Longest side of each item, which limits of batches count: integers, shape (count,)."""
        return longest(self.lengths, self.count)

    @property
    def buckets(self) -> tuple[np.ndarray, int]:
        """Bucket of each item, integers, shape (count,), and the number of buckets."""
        if self.bucket is None:
            return np.broadcast_to(np.uint8(0), (self.count,)), 1
        return self.bucket, int(self.bucket.max(initial=0)) + 1

    @functools.cached_property
    def difficulty_hash(self) -> str | None:
        """Sha256 of the difficulties, in hex; None: there are none."""
        return None if self.difficulty is None else digest(self.difficulty)

    def __getstate__(self) -> dict[str, Any]:
        """Pack the ids into bits: sender and worker hold several copies while the state travels."""
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
    """Longest side of each of ``count`` items, integers (count,); 1 where there are no sides.

    Args:
        lengths: of each side, integers, shape (count,) each
    """
    if not lengths:
        return np.broadcast_to(np.uint8(1), (count,))
    return functools.reduce(np.maximum, lengths)
