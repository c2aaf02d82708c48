"""Resume over another world size, or in batches of another size.

Passes that were begun are finished with no item repeated or left out. Kept items that were not
trained on are dealt out again. Every Assistant goes on from the mean of the saved ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .batching import KEPT
from .clock import update_reached
from .lineage import last_begun, over_other_ranks, under_other_limits
from .protocol import Totals, restore_batches
from .strategies import strategy_class


def redistribute(
    saved: list[dict[str, Any]], strategy: str, rank: int, world_size: int
) -> dict[str, Any]:
    """Make the state of one rank's exchange from the states of another number of ranks.

    Reports that no Assistant learned from yet (see `reports_waiting`) are dropped.

    Args:
        saved: `Exchange.state_dict` of every rank, by rank
        strategy: name of the strategy they were saved by
        rank, world_size: of the state to make
    """
    planners = [state["planner"] for state in saved]
    trained = max(state["trained"] for state in saved)
    loose = np.concatenate([_untrained(state) for state in saved])
    planner = {
        "stream": over_other_ranks([p["stream"] for p in planners], rank, world_size),
        "strategy": strategy_class(strategy).merge([p["strategy"] for p in planners]),
        "buckets": None,
        "loose": loose[rank::world_size],
        "ready": [],
        "ready_sizes": None,
        "in_flight": [],
        "reports": {},
        "updates": {},
        "clock": [trained, max(map(update_reached, saved))],
        "next_number": trained,
        "learned": trained,
        "totals": share_totals([list(_trained_totals(s)) for s in saved], rank, world_size),
        "keep_rate": float(np.mean([p["keep_rate"] for p in planners])),
    }
    return {"trained": trained, "planner": planner}


def last_pass_begun(saved: list[dict[str, Any]]) -> int:
    """Last pass that any rank had begun; -1: none.

    Args:
        saved: `Exchange.state_dict` of every rank
    """
    return max(last_begun(state["planner"]["stream"]) for state in saved)


def rebatched(saved: dict[str, Any], ratio: float, last_pass: int) -> dict[str, Any]:
    """Make the state of an exchange that goes on under other batch limits.

    Items that were planned and not trained on are planned again. Waiting reports stay.

    Args:
        saved: `Exchange.state_dict`
        ratio: batches of a pass under the new limits, divided by those under the old ones
        last_pass: `last_pass_begun` of all ranks, which deal out a pass under the same limits
    """
    planner, trained = saved["planner"], saved["trained"]
    totals = _trained_totals(saved)
    totals = totals._replace(batches=round(totals.batches * ratio))  # as if all had had that size
    again = {
        "stream": under_other_limits(planner["stream"], last_pass),
        "buckets": None,
        "loose": _untrained(saved),
        "ready": [],
        "ready_sizes": None,
        "in_flight": [batch for batch in planner["in_flight"] if batch["number"] < trained],
        "next_number": trained,
        "totals": list(totals),
    }
    return {"trained": trained, "planner": {**planner, **again}}


def reports_waiting(state: dict[str, Any]) -> int:
    """Count reports of a rank that were not learned from: 0, unless its Assistant failed."""
    return len(state["planner"]["reports"])


def _untrained(state: dict[str, Any]) -> np.ndarray:
    """Kept items that a rank has not trained on."""
    planner = state["planner"]
    planned = restore_batches(planner["in_flight"])
    parts = [batch.kept for batch in planned if batch.number >= state["trained"]]
    parts += [*planner["ready"], planner["loose"]]
    if planner["buckets"] is not None:
        parts.append(planner["buckets"]["kept"])
    return np.concatenate([np.empty(0, KEPT), *parts])


def _trained_totals(state: dict[str, Any]) -> Totals:
    """Totals of a rank without the batches that it planned ahead, which are planned again."""
    planner = state["planner"]
    ahead = [len(b["kept"]) for b in planner["in_flight"] if b["number"] >= state["trained"]]
    totals = Totals(*planner["totals"])
    return totals._replace(batches=totals.batches - len(ahead), batched=totals.batched - sum(ahead))


def share_totals(totals: list[list[int]], rank: int, world_size: int) -> list[int]:
    """One rank's share of the `Totals` of other ranks; all shares add up to their sum."""
    sums = [sum(column) for column in zip(*totals)]
    counts = [n // world_size + (rank < n % world_size) for n in sums]
    return list(Totals(*counts))
