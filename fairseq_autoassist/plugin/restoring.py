"""A checkpoint -> the states that this rank resumes from, for any world size.

The states of all needed ranks are read, put under the batch limits of this run, and dealt out over
its ranks.
"""

from __future__ import annotations

import dataclasses
import logging
import math
from typing import Any, Callable, Dict, NamedTuple

from ..core.batching import BatchLimits
from ..core.protocol import PlanSpec, Totals
from ..core.resize import (
    last_pass_begun,
    rebatched,
    redistribute,
    reports_waiting,
    share_totals,
)
from ..tensors import from_checkpoint
from .checkpoints import LIMITS
from .ranks import Ranks

logger = logging.getLogger(__name__)

RankStates = Dict[int, Dict[str, Any]]  # of one rank, by shard


class Restored(NamedTuple):
    """States that a rank resumes from.

    Attributes:
        states: by shard
        last: shard with the newest state of the strategy
        left: micro-batches left of the epoch
    """

    states: RankStates
    last: int
    left: float


def restore(
    saved: dict[str, Any], spec: PlanSpec, ranks: Ranks, counts_anew: bool = False
) -> Restored:
    """Make this rank's states from a checkpoint that was checked.

    Args:
        saved: of `Shards.saved`
        spec: of the current shard
        ranks: of this run
        counts_anew: whether the trainer counts updates from 0 again
    """
    as_before = len(saved["ranks"]) == ranks.world_size
    limits = BatchLimits(*saved[LIMITS])
    own = as_before and limits == spec.limits
    needed = [saved["ranks"][ranks.rank]] if own else saved["ranks"]
    read = [from_checkpoint(state) for state in needed]
    last = read[0]["last"]
    states: list[RankStates] = [rank["shards"] for rank in read]
    if counts_anew:
        states = _each(states, _from_update_0)
    states, ratio = _under_limits(limits, states, spec)
    left = (saved["length"] - saved["offset"]) * ratio
    if as_before:
        return Restored(states[0 if own else ranks.rank], last, left)
    left *= len(states) / ranks.world_size
    return Restored(_over_ranks(states, spec, ranks), last, left)


def whole_updates(
    offset: int, length: int, left: float, update_freq: int, unit: int | None = None
) -> dict[str, int]:
    """Round the rest of an epoch to whole updates, since --update-freq may have changed.

    fairseq groups micro-batches from the start of the epoch, so the offset is rounded too.

    Args:
        offset, length, left: micro-batches
        update_freq: micro-batches to an update
        unit: the rest is a multiple of it; None: of ``update_freq``. With 1 the last update may be
            short, unless the offset is in the middle of an update
    """
    if not length:
        return {"offset": offset, "length": 0}
    unit = update_freq if unit is None or offset % update_freq else unit
    begun = math.ceil(offset / update_freq) * update_freq
    return {"offset": begun, "length": begun + max(1, round(left / unit)) * unit}


def _each(states: list[RankStates], change: Callable) -> list[RankStates]:
    """Change each state of each rank."""
    return [{shard: change(state) for shard, state in rank.items()} for rank in states]


def _from_update_0(state: dict[str, Any]) -> dict[str, Any]:
    exchange = state["exchange"]
    planner = {**exchange["planner"], "clock": [exchange["trained"], 0.0]}
    return {**state, "exchange": {**exchange, "planner": planner}}


def _under_limits(
    limits: BatchLimits, states: list[RankStates], spec: PlanSpec
) -> tuple[list[RankStates], float]:
    """Put the states of all ranks under the batch limits of ``spec``; warn if the limits change.

    Returns:
        the states, and batches of a pass under the new limits divided by those under ``limits``
    """
    if limits == spec.limits:
        return states, 1.0
    logger.warning(
        f"AutoAssist: the checkpoint was made under {_flags(limits)}, this run has "
        f"{_flags(spec.limits)}: the stream goes on, in batches of that size"
    )
    before = dataclasses.replace(spec, limits=limits)
    ratio = spec.batches_per_pass / before.batches_per_pass
    begun = {
        shard: last_pass_begun([rank[shard]["exchange"] for rank in states]) for shard in states[0]
    }
    changed = [
        {shard: _rebatched(state, ratio, begun[shard]) for shard, state in rank.items()}
        for rank in states
    ]
    return changed, ratio


def _flags(limits: BatchLimits) -> str:
    """Flags of fairseq that give these limits."""
    return (
        f"--max-tokens {limits.max_size or 'none'}, --batch-size {limits.max_items or 'none'}"
        f", --required-batch-size-multiple {limits.multiple}"
    )


def _rebatched(state: dict[str, Any], ratio: float, last_pass: int) -> dict[str, Any]:
    state = {**state, "exchange": rebatched(state["exchange"], ratio, last_pass)}
    if state["progress"] is not None:
        passes, keep_rate, counts = state["progress"]
        totals = Totals(*counts)
        totals = totals._replace(batches=round(totals.batches * ratio))
        state["progress"] = [passes, keep_rate, list(totals)]
    return state


def _over_ranks(states: list[RankStates], spec: PlanSpec, ranks: Ranks) -> RankStates:
    """Make a rank's states from those of another number of ranks."""
    lost = sum(reports_waiting(s["exchange"]) for rank in states for s in rank.values())
    logger.info(
        f"AutoAssist: resumed over {ranks.world_size} ranks, saved by {len(states)}: the pass "
        "is finished with no pair repeated or left out, each Assistant starts from their mean, "
        f"{lost} reports are not learned from"
    )
    return {shard: _resized([rank[shard] for rank in states], spec, ranks) for shard in states[0]}


def _resized(states: list[dict[str, Any]], spec: PlanSpec, ranks: Ranks) -> dict[str, Any]:
    exchanges = [state["exchange"] for state in states]
    exchange = redistribute(exchanges, spec.config.strategy, ranks.rank, ranks.world_size)
    progress = None
    if states[0]["progress"] is not None:
        passes, keep_rates, totals = zip(*(state["progress"] for state in states))
        share = share_totals(list(totals), ranks.rank, ranks.world_size)
        progress = [sum(passes) / len(states), sum(keep_rates) / len(states), share]
    same = {key: states[0][key] for key in ("data", "prior")}
    return {"exchange": exchange, "progress": progress, **same}
