"""What a run is planned from, and what comes out: the data that crosses the process border."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Any, Callable, NamedTuple

import numpy as np

from ..config import AutoAssistConfig
from .batching import BatchLimits, compact, pair_tokens, parts
from .prior import Prior
from .source import FeatureOpener
from .stock import MOST_PAIRS, fairseq_batches


class Moment(NamedTuple):
    """How far a run is when pairs are decided on.

    Attributes:
        update: the update that is being planned, over the run (a fraction within --update-freq);
            infinite until the trainer's count is known
        passes: passes over the data so far (a fraction)
        share: of the run that is over, in [0, 1]; 0 where the run has no end
    """

    update: float
    passes: float
    share: float


class News(NamedTuple):
    """Something to tell the user; ``bad`` if the Assistant failed in it."""

    text: str
    bad: bool


class Totals(NamedTuple):
    """Counts over the run and this rank; tokens are of the target side, EOS included."""

    considered: int = 0
    kept: int = 0
    considered_tokens: int = 0
    kept_tokens: int = 0
    batches: int = 0
    batched: int = 0


# (source sizes, target sizes, limits of a batch, pairs this rank considers in a pass, eligible ids)
# -> bucket of each pair (uint16, shape (pairs,)) and the number of buckets
Bucketing = Callable[
    [np.ndarray, np.ndarray, BatchLimits, int, "np.ndarray | None"], "tuple[np.ndarray, int]"
]


@dataclass(frozen=True)
class PlanSpec:
    """All that planning depends on; travels to the worker process.

    Attributes:
        config: settings of the method
        source_sizes, target_sizes: tokens per sentence with EOS, shape (pairs,)
        eligible: ids that may be trained on (integers, ascending), or None for all
        limits: of a batch
        seed: of the run
        lag: micro-batch k is planned with the loss reports of micro-batches 0 .. k - lag
        features: where the features are, or None for a strategy that has no use for them
        bucketing: assigns pairs to buckets, as `text.lengths.length_buckets` does; a function of a
            module, so that it can be pickled; None: all pairs are in one bucket
        prior: what P(keep) is multiplied by; None: nothing
        rank, world_size: of the data-parallel group
        chunk: pairs decided on at once, or None to choose by the size of the pass
        dimensions: number of features, for a successor that has to do without them
        features_hash: of their values; a state learned on others cannot go on
        strategy_state: what the strategy knows at the start (of another shard, say)
        update_freq: micro-batches to an update when this stream begins
        update_freqs: the same in all epochs of the run
        updates_before: updates of the run before this stream began; infinity: the first report
            will tell, and until then the run is taken to be at its end, where nothing is skipped
        max_update, max_passes: where the run ends, in updates and in passes, over whatever
            data-bin; 0: not by that
        passes_before: of these, done before this stream began, or over other data-bins
        abandoned: the Assistant failed before: neither shrink nor learn
        text: what tells it from other text of the same sizes; empty: not known
        repeat: how often the same data came before in the list of data-bins
        full_batches: make none smaller than the limits allow; what is left when a pass ends begins
            the next one
    """

    config: AutoAssistConfig
    source_sizes: np.ndarray
    target_sizes: np.ndarray
    eligible: np.ndarray | None
    limits: BatchLimits
    seed: int
    lag: int
    features: FeatureOpener | None = None
    bucketing: Bucketing | None = None
    prior: Prior | None = None
    rank: int = 0
    world_size: int = 1
    chunk: int | None = None
    dimensions: int = 0
    features_hash: str = ""
    strategy_state: dict[str, Any] | None = None
    update_freq: int = 1
    update_freqs: tuple[int, ...] = ()
    updates_before: float = 0.0
    max_update: int = 0
    max_passes: float = 0.0
    passes_before: float = 0.0
    abandoned: bool = False
    text: str = ""
    repeat: int = 0
    full_batches: bool = False

    @functools.cached_property
    def tokens(self) -> tuple[int, int]:
        """Of all source and of all target sentences, by which a data-bin is told from others."""
        source, target = (
            int(np.sum(sizes, dtype=np.int64)) for sizes in (self.source_sizes, self.target_sizes)
        )
        return source, target

    @functools.cached_property
    def stock_batches(self) -> float:
        """Batches of fairseq's own epoch, over all ranks: exact up to 100,000 pairs; beyond, an
        estimate as if all pairs of a batch were of one length, mostly a few per cent too low."""
        ids = slice(None) if self.eligible is None else self.eligible
        source = self.source_sizes[ids]
        if len(source) <= MOST_PAIRS:
            return float(fairseq_batches(source, self.target_sizes[ids], self.limits))
        counts = self.pairs_by_length
        lengths = np.flatnonzero(counts).tolist()
        return float(sum(counts[length] / self.limits.of_length(length) for length in lengths))

    @functools.cached_property
    def mean_prior(self) -> float:
        """Of the pairs that may be trained on, in (0, 1]; 1 without a prior."""
        return 1.0 if self.prior is None else self.prior.mean(self.eligible)

    @functools.cached_property
    def pairs_by_length(self) -> np.ndarray:
        """How many pairs that may be trained on have 0, 1, 2, ... tokens on their longer side:
        int64, shape (longest + 1,)."""
        source, target, ids = self.source_sizes, self.target_sizes, self.eligible
        counts = np.zeros(int(max(source.max(), target.max())) + 1, dtype=np.int64)
        for part in parts(len(source) if ids is None else len(ids)):
            chosen = part if ids is None else ids[part]
            tokens = pair_tokens(source[chosen], target[chosen])
            counts += np.bincount(tokens, minlength=len(counts))
        return counts

    def buckets(self, per_pass: int) -> tuple[np.ndarray, int]:
        """Assign every pair to a bucket.

        Args:
            per_pass: pairs this rank considers in a pass

        Returns:
            bucket of each pair (uint16, shape (pairs,)) and the number of buckets
        """
        if self.bucketing is None:
            return np.zeros(len(self.source_sizes), dtype=np.uint16), 1
        sizes = self.source_sizes, self.target_sizes
        return self.bucketing(*sizes, self.limits, per_pass, self.eligible)

    def __getstate__(self) -> dict[str, Any]:
        """Small, because sender and worker hold it several times over while it travels."""
        state = dict(vars(self))
        for name in ("source_sizes", "target_sizes"):
            state[name] = compact(state[name])
        if self.eligible is not None:
            mask = np.zeros(len(self.source_sizes), dtype=bool)
            mask[self.eligible] = True
            state["eligible"] = np.packbits(mask)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        if state["eligible"] is not None:
            bits = np.unpackbits(state["eligible"], count=len(state["source_sizes"]))
            state["eligible"] = np.flatnonzero(bits)
        vars(self).update(state)


@dataclass(frozen=True)
class PlannedBatch:
    """One micro-batch.

    Attributes:
        number: of the micro-batch, over the run and this rank
        pairs: array of `KEPT`
        totals: counts up to and including what was considered for this batch
        position: of the stream then, and `passes`, the same as a fractional number of passes
        keep_rate: moving average of the share of pairs kept
        metrics: of the strategy
        news: messages for the user
    """

    number: int
    pairs: np.ndarray
    totals: Totals
    position: tuple[int, int]
    passes: float
    keep_rate: float
    metrics: dict[str, float] = field(default_factory=dict)
    news: list[News] = field(default_factory=list)

    @property
    def ids(self) -> np.ndarray:
        """Pair ids, int64, shape (n,)."""
        return self.pairs["id"]


def restore_batches(saved: list[dict[str, Any]]) -> list[PlannedBatch]:
    """Batches from their saved form, which may have gone through a checkpoint."""
    return [
        PlannedBatch(
            **{
                **batch,
                "totals": Totals(*batch["totals"]),
                "position": tuple(batch["position"]),
                "news": [News(*news) for news in batch["news"]],
            }
        )
        for batch in saved
    ]
