"""Whole passes -> batches in order of length, where every item is kept.

A pass then has as many batches as plain training in order of length. Buckets make batches of
another mean size, and a large share of a small corpus waits in them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .batching import KEPT, Buckets, occurrences
from .cutting import MOST_ITEMS
from .dealing import Dealer
from .protocol import PlanSpec
from .strategies import needs_of
from .stream import Stream


def plans_whole_passes(spec: PlanSpec) -> bool:
    """Tell whether every item is kept, of a corpus small enough to be sorted."""
    needs = needs_of(spec.config)
    if spec.prior is not None and needs.prior != "ignored":
        return False
    if spec.full_batches:
        return False
    return needs.keeps_all and spec.items.eligible_count <= MOST_ITEMS


def stream_of(spec: PlanSpec) -> Stream:
    """Make the stream of this rank; where whole passes are planned, it deals out batches."""
    dealer = None
    if spec.items.eligible_count <= MOST_ITEMS:
        dealer = Dealer(spec.items.lengths, spec.limits)
    items, ranks, whole = spec.items, (spec.rank, spec.world_size), plans_whole_passes(spec)
    return Stream(items.count, spec.seed, items.eligible, *ranks, spec.repeat, dealer, whole)


def batcher_of(spec: PlanSpec, stream: Stream) -> Buckets | WholePass:
    """Make what turns kept items into batches."""
    if plans_whole_passes(spec):
        return WholePass(Dealer(spec.items.lengths, spec.limits), stream)
    bucket, count = spec.items.buckets
    return Buckets(bucket, spec.items.sizes, count, spec.limits, spec.full_batches)


class WholePass:
    """Makes the batches of a pass when all its items have come; used in place of `Buckets`.

    Args:
        dealer: of the items, under the limits of a batch
        stream: whose passes these are
    """

    def __init__(self, dealer: Dealer, stream: Stream) -> None:
        self._dealer, self._stream = dealer, stream
        self._pool: list[np.ndarray] = []

    def add(self, kept: np.ndarray) -> list[np.ndarray]:
        """Take items of the pass, an array of `KEPT`; returns no batch before its end."""
        if len(kept):
            self._pool.append(kept)
        return []

    def again(self, kept: np.ndarray) -> list[np.ndarray]:
        """Make batches of items that were in batches before, and of those that wait.

        They may be of several passes. An item that is due in more passes than others comes first.
        Otherwise it could stay behind for ever under repeated changes of world size.
        """
        self.add(kept)
        if len(kept) == 0:
            return []
        items = self.take_all()
        later = occurrences(items["id"][::-1])[::-1]
        turns = range(int(later.max()), -1, -1)
        return [batch for number in turns for batch in self._cut(items[later == number])]

    def end_of_pass(self) -> list[np.ndarray]:
        """Make batches of all items of the pass, arrays of `KEPT`, in random order.

        Raises:
            ValueError: an item is larger than a batch may be
        """
        ids, ends = self._stream.last_dealt(self._dealer.limits)
        waiting = np.concatenate([np.empty(0, KEPT), *self._pool])
        if len(ends) and np.array_equal(waiting["id"], ids):
            return np.split(self.take_all(), ends[:-1])
        return self._cut(self.take_all())

    def take_all(self) -> np.ndarray:
        """Empty the pool; returns its items, an array of `KEPT`."""
        pool, self._pool = self._pool, []
        return np.concatenate([np.empty(0, KEPT), *pool])

    def state_dict(self) -> dict[str, Any]:
        """Items of the pass so far, in the order in which they came."""
        return {"kept": np.concatenate([np.empty(0, KEPT), *self._pool])}

    def load_state_dict(self, state: dict[str, Any]) -> list[np.ndarray]:
        """Take over saved items, also those of `Buckets`; returns no batch, as `add` does."""
        self._pool = []
        return self.add(state["kept"])

    def _cut(self, items: np.ndarray) -> list[np.ndarray]:
        """Make batches of these items alone, in random order."""
        batches = self._dealer.batches(items["id"])
        order = self._stream.batch_order(len(batches))
        return [items[batches[index]] for index in order.tolist()]
