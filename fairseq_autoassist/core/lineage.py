"""Passes of a stream that other ranks began, or that were dealt out under other batch limits.

A stream goes on from a state in which these passes are noted. The limits of a pass follow from its
number alone, since all ranks must deal it out alike.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple, Tuple

from .batching import BatchLimits

Position = Tuple[int, int]


class Generation(NamedTuple):
    """Positions of a stream when it went on over another number of ranks.

    Attributes:
        world_size: number of ranks before that
        positions: (pass, index of the next item) of each of these ranks
    """

    world_size: int
    positions: tuple[Position, ...]

    @property
    def last_pass(self) -> int:
        """Last pass that any of its ranks had begun."""
        return max(number for number, _ in self.positions)


class Earlier(NamedTuple):
    """Limits under which a stream dealt out passes before it went on under others.

    Attributes:
        last_pass: the last of these passes
        limits: of their batches; None: they were dealt out in single items
    """

    last_pass: int
    limits: BatchLimits | None


def over_other_ranks(states: list[dict[str, Any]], rank: int, world_size: int) -> dict[str, Any]:
    """Make the state of a rank's stream from the states of another number of ranks.

    Items that those ranks had not considered yet are dealt out again. So passes that were begun are
    finished with no item repeated or left out.

    Args:
        states: of the streams of all ranks, by rank
        rank, world_size: of the stream that goes on
    """
    positions = tuple((int(s["position"][0]), int(s["position"][1])) for s in states)
    first_pass = min(number for number, _ in positions)
    lineage = lineage_of(states[0])
    if all(g.last_pass < first_pass for g in lineage):
        lineage = ()  # passes begun by earlier generations are finished
    lineage += (Generation(len(states), positions),)
    changed = {"lineage": saved_lineage(lineage), "rank": rank, "world_size": world_size}
    return {**states[0], **changed, "position": [first_pass, 0]}


def last_begun(state: dict[str, Any]) -> int:
    """Last pass that a rank had begun, or ranks before it; -1: none.

    Args:
        state: of its stream
    """
    number, index = state["position"]
    return max([number if index else number - 1, *(g.last_pass for g in lineage_of(state))])


def under_other_limits(state: dict[str, Any], last_pass: int) -> dict[str, Any]:
    """Make the state of a stream that deals out its later passes under the limits of its run.

    Args:
        state: of the stream
        last_pass: last pass that is still dealt out under the saved limits, on all ranks
    """
    if "dealt" not in state:  # such a state already, from which no stream went on
        return state
    earlier = [*state.get("dealt earlier", []), [last_pass, state["dealt"]]]
    kept = {key: value for key, value in state.items() if key != "dealt"}
    return {**kept, "dealt earlier": earlier}


def saved_limits(limits: BatchLimits | None) -> list[Any] | None:
    """Plain Python, from which `limits_of` makes the same limits."""
    return None if limits is None else list(dataclasses.astuple(limits))


def limits_of(saved: list[Any] | None) -> BatchLimits | None:
    """The inverse of `saved_limits`."""
    return None if saved is None else BatchLimits(*saved)


def earlier_of(state: dict[str, Any]) -> tuple[Earlier, ...]:
    """Limits of earlier passes in a state; states of older versions have none."""
    saved = state.get("dealt earlier", [])
    return tuple(Earlier(last, limits_of(limits)) for last, limits in saved)


def saved_lineage(lineage: tuple[Generation, ...]) -> list[Any]:
    """Plain Python, from which `lineage_of` makes the same generations."""
    return [[g.world_size, [list(position) for position in g.positions]] for g in lineage]


def lineage_of(state: dict[str, Any]) -> tuple[Generation, ...]:
    """Generations of ranks in a state, the first one first."""
    return tuple(
        Generation(world_size, tuple((int(n), int(k)) for n, k in positions))
        for world_size, positions in state["lineage"]
    )
