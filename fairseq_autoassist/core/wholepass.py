"""Whole passes -> batches, as many as fairseq's own epoch has: for what keeps every pair.

Buckets make batches of another mean size, so that an epoch would have another number of updates
than fairseq's; and what waits in them is a large share of a small corpus.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .batching import KEPT, Buckets, compact, pair_tokens
from .dealing import Dealer
from .plan import PlanSpec
from .sampler import Stream
from .stock import MOST_PAIRS
from .strategies import strategy_class


def plans_whole_passes(spec: PlanSpec) -> bool:
    """Whether every pair is kept, of a corpus that is sorted in a moment."""
    kind = strategy_class(spec.config.strategy)
    if spec.full_batches:
        return False
    if spec.prior is not None and kind.uses_prior:
        return False
    return kind.keeps_all(spec.config) and _pairs(spec) <= MOST_PAIRS


def stream_of(spec: PlanSpec) -> Stream:
    """The stream of this rank; where whole passes are planned, it deals out fairseq's batches."""
    dealer = None
    if _pairs(spec) <= MOST_PAIRS:
        dealer = Dealer(spec.source_sizes, spec.target_sizes, spec.limits)
    ranks = spec.rank, spec.world_size
    whole = plans_whole_passes(spec)
    pairs = len(spec.source_sizes)
    return Stream(pairs, spec.seed, spec.eligible, *ranks, spec.repeat, dealer, whole)


def batcher_of(spec: PlanSpec, stream: Stream) -> Buckets | WholePass:
    """What makes batches of the pairs that are kept."""
    sizes = spec.source_sizes, spec.target_sizes
    if plans_whole_passes(spec):
        return WholePass(Dealer(*sizes, spec.limits), stream)
    bucket, count = spec.buckets(stream.pairs_per_pass)
    tokens = compact(pair_tokens(*sizes))
    return Buckets(bucket, tokens, count, spec.limits, spec.full_batches)


class WholePass:
    """Batches of a pass, made when all its pairs have come; in the place of `Buckets`.

    Args:
        dealer: of the pairs, under the limits of a batch
        stream: whose passes these are
    """

    def __init__(self, dealer: Dealer, stream: Stream) -> None:
        self._dealer, self._stream = dealer, stream
        self._pool: list[np.ndarray] = []

    def __len__(self) -> int:
        """Number of pairs that wait for the end of their pass."""
        return sum(map(len, self._pool))

    def add(self, kept: np.ndarray) -> list[np.ndarray]:
        """Take pairs of the pass, an array of `KEPT`; no batch is complete before its end."""
        if len(kept):
            self._pool.append(kept)
        return []

    def again(self, kept: np.ndarray) -> list[np.ndarray]:
        """Batches of pairs that were in batches before, and of what waits: their pass is over."""
        self.add(kept)
        return self._cut() if len(kept) else []

    def end_of_pass(self) -> list[np.ndarray]:
        """All pairs of the pass in batches, arrays of `KEPT`, in random order.

        Raises:
            ValueError: a pair is longer than a batch may be
        """
        ids, ends = self._stream.last_dealt(self._dealer.limits)
        waiting = np.concatenate([np.empty(0, KEPT), *self._pool])
        if len(ends) and np.array_equal(waiting["id"], ids):
            return np.split(self.take_all(), ends[:-1])
        return self._cut()

    def take_all(self) -> np.ndarray:
        """Empty the pool; returns what was in it, an array of `KEPT`."""
        pool, self._pool = self._pool, []
        return np.concatenate([np.empty(0, KEPT), *pool])

    def state_dict(self) -> dict[str, Any]:
        """The pairs of the pass so far, in the order in which they came."""
        return {"pairs": np.concatenate([np.empty(0, KEPT), *self._pool])}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over saved pairs, also those of `Buckets`."""
        self._pool = []
        self.add(state["pairs"])

    def _cut(self) -> list[np.ndarray]:
        """Batches of the pairs here alone."""
        pairs = self.take_all()
        batches = self._dealer.batches(pairs["id"])
        order = self._stream.batch_order(len(batches))
        return [pairs[batches[index]] for index in order.tolist()]


def _pairs(spec: PlanSpec) -> int:
    return len(spec.source_sizes) if spec.eligible is None else len(spec.eligible)
