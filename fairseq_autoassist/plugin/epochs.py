"""How many micro-batches an epoch has: about one pass at the present keep rate.

fairseq freezes the number of batches when an epoch starts; the stream goes on over its end.
"""

from __future__ import annotations

import math
from typing import Any, Callable, NamedTuple

import numpy as np

from ..core.protocol import PlannedBatch, PlanSpec, Totals
from ..core.wholepass import plans_whole_passes

# Batches after which their measured size is a better guess than the estimate.
_MEASURED = 50


class Progress(NamedTuple):
    """Where training stands: after the last micro-batch trained on, while planning is ahead."""

    passes: float
    keep_rate: float
    totals: Totals

    @classmethod
    def of(cls, batch: PlannedBatch) -> Progress:
        """After a micro-batch."""
        return cls(batch.passes, batch.keep_rate, batch.totals)

    @classmethod
    def restored(cls, saved: list[Any]) -> Progress:
        """From the form it has in a checkpoint."""
        return cls(saved[0], saved[1], Totals(*saved[2]))


def epoch_length(
    spec: PlanSpec,
    progress: Progress | None,
    update_freq: int,
    keep_rate: float = 1.0,
    mean: Callable[[float], float] = float,
) -> int:
    """Micro-batches until about one pass more, in whole passes, has been trained on.

    What waits in open buckets does not count: it is trained on in the next epoch. So the first one
    is as long as fairseq's while nothing is skipped, and N of them train on N passes' worth. Where
    whole passes are planned each of them is, within a batch.

    Args:
        spec: what is planned from
        progress: None at the start of this stream
        update_freq: the length is a multiple of it
        keep_rate: share of pairs kept, as far as it is known without `progress`: with a prior its
            mean, since that many are kept before anything is learned
        mean: over the ranks, which agree on a length by it

    Returns:
        at least ``update_freq``
    """
    if plans_whole_passes(spec):
        # the mean of that, since pairs are dealt out in batches: ranks differ in how many they have
        done = mean(0.0 if progress is None else progress.totals.batched / _pairs(spec))
        share = round(done + 1) - done
        return _whole_updates(round(share * math.ceil(stock_batches(spec))), update_freq)
    mine = _whole_updates(_at_the_keep_rate(spec, progress, keep_rate), update_freq)
    return max(1, round(mean(mine) / update_freq)) * update_freq


def _whole_updates(batches: int, update_freq: int) -> int:
    return max(1, -(-batches // update_freq)) * update_freq


def _at_the_keep_rate(spec: PlanSpec, progress: Progress | None, keep_rate: float) -> int:
    pairs = _pairs(spec)
    per_batch = pairs / stock_batches(spec)
    done = 0.0
    if progress is not None:
        passes, keep_rate, totals = progress
        waiting = max(totals.kept - totals.batched, 0)
        done = max(passes - waiting / (pairs * max(keep_rate, 1e-9)), 0.0)
        if totals.batches >= _MEASURED:
            per_batch = totals.batched / totals.batches
    share = round(done + 1) - done
    return round(share * pairs * keep_rate / per_batch)


def stock_batches(spec: PlanSpec) -> float:
    """Batches of fairseq's own epoch on this rank."""
    return max(1.0, spec.batches_per_pass / spec.world_size)


def stock_iterations(spec: PlanSpec, offset: int, length: int) -> int:
    """The position that fairseq's own iterator shall go on from: the same share of its epoch.

    Its epoch has another number of batches, and it cannot resume behind its end. 0 only at the
    start of an epoch, since fairseq resets its meters there.
    """
    if offset == 0:
        return 0
    last = max(1, int(stock_batches(spec)) - 1)
    return int(np.clip(round(offset / length * last), 1, last))


def _pairs(spec: PlanSpec) -> float:
    return spec.items.eligible_count / spec.world_size
