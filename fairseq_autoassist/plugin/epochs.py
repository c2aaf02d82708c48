"""Number of micro-batches of an epoch: about one pass at the current keep rate.

fairseq fixes the number of batches when an epoch starts. The stream goes on over its end.
"""

from __future__ import annotations

import math
from typing import Callable

import numpy as np

from ..core.progress import Progress, items_of_rank, share_left
from ..core.protocol import PlanSpec
from ..core.wholepass import plans_whole_passes

# After so many batches their measured size replaces the estimate.
_MEASURED = 50


def epoch_length(
    spec: PlanSpec,
    progress: Progress | None,
    update_freq: int,
    keep_rate: float = 1.0,
    mean: Callable[[float], float] = float,
) -> int:
    """Number of micro-batches until about one pass more, in whole passes, is trained on.

    Items in open buckets do not count, since they are trained on in the next epoch. So the first
    epoch is as long as fairseq's while nothing is skipped, and N epochs train on N passes. Where
    whole passes are planned, each epoch is as long as fairseq's, within a batch.

    Args:
        spec: what is planned from
        progress: None at the start of this stream
        update_freq: micro-batches; the length is a multiple of it
        keep_rate: share of items kept where there is no `progress`, such as the mean prior
        mean: gives the mean of a number over the ranks, so that they agree on a length

    Returns:
        at least ``update_freq``
    """
    if plans_whole_passes(spec):
        # ranks differ in their number of items, which are dealt out in batches
        done = mean(0.0 if progress is None else progress.trained(spec))
        batches = share_left(done) * math.ceil(stock_batches(spec))
        return _whole_updates(round(batches), update_freq)
    mine = _whole_updates(_at_the_keep_rate(spec, progress, keep_rate), update_freq)
    return max(1, round(mean(mine) / update_freq)) * update_freq


def _whole_updates(batches: int, update_freq: int) -> int:
    return max(1, -(-batches // update_freq)) * update_freq


def _at_the_keep_rate(spec: PlanSpec, progress: Progress | None, keep_rate: float) -> int:
    items, done = items_of_rank(spec), 0.0
    per_batch = items / stock_batches(spec)
    if progress is not None:
        keep_rate, done = progress.keep_rate, progress.trained(spec)
        if progress.totals.batches >= _MEASURED:
            per_batch = progress.totals.batched / progress.totals.batches
    return round(share_left(done) * items * keep_rate / per_batch)


def stock_batches(spec: PlanSpec) -> float:
    """Number of batches of fairseq's own epoch on this rank."""
    return max(1.0, spec.batches_per_pass / spec.world_size)


def stock_iterations(spec: PlanSpec, offset: int, length: int) -> int:
    """Position for fairseq's own iterator, should its task resume: the same share of its epoch.

    That epoch has another number of batches, and fairseq cannot resume behind its end. The position
    is 0 only at the start of an epoch, since fairseq resets its meters there.
    """
    if offset == 0:
        return 0
    last = max(1, int(stock_batches(spec)) - 1)
    return int(np.clip(round(offset / length * last), 1, last))
