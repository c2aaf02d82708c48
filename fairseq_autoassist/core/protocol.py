"""Protocol of planning: what a run is planned from, and the batches that come out.

Both cross the border to the worker process.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .batching import BatchLimits
from .cutting import batches_of_pass
from .items import Items
from .message import Message
from .prior import Prior
from .source import FeatureOpener

if TYPE_CHECKING:
    from ..config import AutoAssistConfig


class Totals(NamedTuple):
    """Counts over the run and this rank; cost is in the unit of `Items.cost`."""

    considered: int = 0
    kept: int = 0
    considered_cost: int = 0
    kept_cost: int = 0
    batches: int = 0
    batched: int = 0


@dataclass(frozen=True)
class PlanSpec:
    """Everything that planning depends on.

    Attributes:
        config: settings of the method
        items: what is chosen from
        limits: of a batch
        seed: of the run
        lag: micro-batch k is planned with the loss reports of micro-batches 0 .. k - lag
        features: where the features are; None for a strategy that needs none
        prior: what P(keep) is multiplied by; None: nothing
        rank, world_size: of the data-parallel group
        chunk: items decided on at once, or None to choose by the size of the pass
        dimensions: number of features, for a successor that goes on without them
        features_hash: of their values; a state learned on other features is refused
        update_freq: micro-batches to an update when this stream begins
        update_freqs: the same in all epochs of the run
        updates_before: updates of the run before this stream began; infinity: the first report
            tells, and until then nothing is skipped, as at the end of the run
        max_update, max_passes: end of the run, in updates and in passes over any data set; 0: no
            limit
        passes_before: passes done before this stream began, or over other data sets
        abandoned: the Assistant failed before: neither shrink nor learn
        text: hash that tells it from other text of the same sizes; empty: not known
        repeat: how often the same data set came before in the list of data sets
        full_batches: make no batch smaller than the limits allow; items left at the end of a pass
            begin the next one
    """

    config: AutoAssistConfig
    items: Items
    limits: BatchLimits
    seed: int
    lag: int
    features: FeatureOpener | None = None
    prior: Prior | None = None
    rank: int = 0
    world_size: int = 1
    chunk: int | None = None
    dimensions: int = 0
    features_hash: str = ""
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
    def batches_per_pass(self) -> float:
        """Batches of a pass in which every item is kept, over all ranks; see `batches_of_pass`."""
        return batches_of_pass(self.items, self.limits)

    @functools.cached_property
    def mean_prior(self) -> float:
        """Mean prior of the eligible items, in (0, 1]; 1 without a prior."""
        return 1.0 if self.prior is None else self.prior.mean(self.items.eligible)


@dataclass(frozen=True)
class PlannedBatch:
    """One planned micro-batch.

    Attributes:
        number: of the micro-batch, counted over the run and this rank
        kept: items, array of `KEPT`
        totals: counts up to and including what was considered for this batch
        position: of the stream after it
        passes: the same as a fractional number of passes
        keep_rate: moving average of the share of items kept
        metrics: of the strategy, by name
        messages: for the user
    """

    number: int
    kept: np.ndarray
    totals: Totals
    position: tuple[int, int]
    passes: float
    keep_rate: float
    metrics: dict[str, float] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)

    @property
    def ids(self) -> np.ndarray:
        """Item ids, int64, shape (n,)."""
        return self.kept["id"]


def rows_to_positions(row_ids: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Give the position in a planned batch of each row of a loader's batch.

    Args:
        row_ids, ids: the same ids in two orders, int64, shape (B,); an id may come twice

    Returns:
        int64, shape (B,), a permutation
    """
    positions = np.empty(len(ids), dtype=np.int64)
    positions[np.argsort(row_ids, kind="stable")] = np.argsort(ids, kind="stable")
    return positions


def restore_batches(saved: list[dict[str, Any]]) -> list[PlannedBatch]:
    """Make batches from their saved form, also after a checkpoint."""
    return [
        PlannedBatch(
            **{
                **batch,
                "totals": Totals(*batch["totals"]),
                "position": tuple(batch["position"]),
                "messages": [Message(*message) for message in batch["messages"]],
            }
        )
        for batch in saved
    ]
