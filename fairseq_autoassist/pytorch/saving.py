"""The state of an `AutoAssist`: a snapshot of the planner, and what was reported since.

torchdata's StatefulDataLoader asks for a state whenever it hands a batch to its workers, which is
some batches before that one is trained on. So a state is cheap, and until it is saved it goes on
with the reports of the batches that were handed out before it was asked for.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from typing import Any

import numpy as np
import torch

from ..core.protocol import PlanSpec
from ..core.worker.client import Exchange
from ..errors import AutoAssistError
from ..tensors import from_checkpoint, to_checkpoint
from .epochs import Progress

STATE_VERSION = 2
# Reports after which a new snapshot is taken: as many batches are planned again at most on resume.
_TAIL = 256
_BEGIN_ANEW = "give the same, or begin anew without this state"
# options that change where planning runs, and no batch
_FREE = {"inline", "timeout", "on_failure", "trace"}


class Recorder:
    """Makes the states of a run."""

    def __init__(self) -> None:
        self._snapshot: dict[str, Any] | None = None
        self._first = 0  # reports 0 .. first - 1 are in the snapshot
        self._failure: str | None = None
        self._reports: dict[int, torch.Tensor | None] = {}
        self._growing: deque[tuple[int, dict[str, Any]]] = deque()

    def reported(self, number: int, losses: np.ndarray | None) -> None:
        """Note a report: the states of batches handed out from here on go on with it."""
        if self._snapshot is not None:
            self._reports[number] = None if losses is None else torch.from_numpy(losses.copy())
        while self._growing and self._growing[0][0] < number:
            self._growing.popleft()
        for _, state in self._growing:
            state["trained"] = number + 1

    def state(
        self, exchange: Exchange, progress: Progress | None, handed: int, header: dict[str, Any]
    ) -> dict[str, Any]:
        """The state after all that was reported.

        Args:
            exchange: that made the batches
            progress: at the last batch reported
            handed: number of the last batch handed out; -1: none
            header: what tells the run, and where in an epoch it is
        """
        old = exchange.ledger.reported - self._first >= _TAIL or exchange.failure != self._failure
        if self._snapshot is None or old:
            place = None if progress is None else list(progress)
            taken = {"exchange": exchange.state_dict(), "progress": place}
            self._snapshot, self._reports = to_checkpoint(taken), {}
            self._first, self._failure = exchange.ledger.reported, exchange.failure
        state = {
            **header,
            "snapshot": self._snapshot,
            "first": self._first,
            "reports": self._reports,
            "trained": exchange.ledger.reported,
        }
        if handed >= exchange.ledger.reported:
            self._growing.append((handed, state))
        return state


def replayed(
    kind: type[Exchange], spec: PlanSpec, state: dict[str, Any]
) -> tuple[Exchange, Progress | None, dict[int, np.ndarray | None]]:
    """The exchange that a state is of, where training stood, and the reports that came until the
    state was saved of batches that it does not count as trained on.

    Args:
        kind: of the exchange
        spec: what to plan from, as it was when the state was made
        state: of `Recorder.state`
    """
    taken = from_checkpoint(state["snapshot"])
    exchange = kind(spec, taken["exchange"])
    progress = None if taken["progress"] is None else Progress.restored(taken["progress"])
    reports = {n: None if x is None else x.numpy() for n, x in state["reports"].items()}
    for number in range(state["first"], state["trained"]):
        progress = Progress.of(exchange.next_batch())
        exchange.report(number, reports.pop(number))
    later = {n: losses for n, losses in reports.items() if n >= state["trained"]}
    return exchange, progress, later


def header_of(spec: PlanSpec, drop_last: bool) -> dict[str, Any]:
    """What a state says about the run that it is of: plain Python."""
    options = {k: v for k, v in dataclasses.asdict(spec.config).items() if k not in _FREE}
    return {
        "version": STATE_VERSION,
        "strategy": spec.config.strategy,
        "items": spec.items.count,
        "batch_size": spec.limits.max_items,
        "drop_last": drop_last,
        "seed": spec.seed,
        "features": spec.features_hash[:12],
        "prior": None if spec.prior is None else spec.prior.identity,
        "max_batches": spec.max_update,
        "max_passes": spec.max_passes,
        "lag": spec.lag,
        "options": options,
    }


def check_state(state: Any, spec: PlanSpec, drop_last: bool) -> None:
    """Refuse a state of another run or rank.

    Raises:
        AutoAssistError: names what differs, in one line
    """
    if not isinstance(state, dict) or "snapshot" not in state:
        raise AutoAssistError("found no state of AutoAssist, expected what its state_dict() gave")
    for key, expected in header_of(spec, drop_last).items():
        found = state.get(key)
        if key == "options" and isinstance(found, dict) and found != expected:
            names = [n for n in {**found, **expected} if found.get(n) != expected.get(n)]
            key, found, expected = names[0], found.get(names[0]), expected.get(names[0])
        if found != expected:
            raise AutoAssistError(
                f"the state has {key} {found}, this run has {expected}: it cannot go on "
                f"from there; {_BEGIN_ANEW}"
            )
    if state["world_size"] != spec.world_size:
        raise AutoAssistError(
            f"the state is of {state['world_size']} ranks, this run has {spec.world_size}: it "
            f"cannot go on from there; {_BEGIN_ANEW}"
        )
    if state["rank"] != spec.rank:
        raise AutoAssistError(
            f"the state is of rank {state['rank']}, this is rank {spec.rank}: save the "
            "state_dict() of each rank, and load on each its own"
        )
