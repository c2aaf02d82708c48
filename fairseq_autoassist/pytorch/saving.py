"""State of an `AutoAssist`: a snapshot of the planner, and the reports since the snapshot.

torchdata's StatefulDataLoader asks for a state whenever it hands a batch to its workers, some
batches before that batch is trained on. So making a state is cheap. Reports of batches that were
handed out before the state was made are added to it later. So are reports after these: a loader
that saves seldom skips their batches when it resumes.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from typing import Any, NamedTuple

import numpy as np
import torch

from ..core.progress import Progress
from ..core.protocol import PlannedBatch, PlanSpec
from ..core.worker.client import Exchange
from ..errors import AutoAssistError
from ..tensors import from_checkpoint, to_checkpoint

STATE_VERSION = 2
# Reports between two snapshots. On resume at most as many batches are planned again.
_TAIL = 256
# Reports that a snapshot gets after the next one is due, for a loader that saves seldom.
_LATER = 4096
_BEGIN_ANEW = "give the same value, or start again without this state"
# options that change how planning runs, and no batch
_FREE = {"inline", "timeout", "on_failure", "trace"}


class Position(NamedTuple):
    """Position of training after the newest batch that was reported.

    Attributes:
        progress: progress at that batch
        metrics: metrics of the strategy
    """

    progress: Progress
    metrics: dict[str, float]

    @classmethod
    def of(cls, batch: PlannedBatch) -> Position:
        """Make the position after a batch."""
        return cls(Progress.of(batch), batch.metrics)

    @classmethod
    def restored(cls, saved: list[Any]) -> Position:
        """Restore a position from `saved`."""
        return cls(Progress.restored(saved), saved[3])

    def saved(self) -> list[Any]:
        """Make the form for a state."""
        return [*self.progress, self.metrics]


class Recorder:
    """Makes the states of a run."""

    def __init__(self) -> None:
        self._snapshot: dict[str, Any] | None = None
        self._first = 0  # reports 0 .. first - 1 are in the snapshot
        self._failure: str | None = None
        # reports since each of the last two snapshots; a loader may still save the older one
        self._open: deque[dict[int, torch.Tensor | None]] = deque(maxlen=2)
        self._growing: deque[tuple[int, dict[str, Any]]] = deque()

    def reported(self, number: int, losses: np.ndarray | None) -> None:
        """Add a report to the states that were made after its batch was handed out.

        Args:
            number: number of the micro-batch
            losses: float32 (B,), or None for a batch that was left out
        """
        if number >= self._first + _TAIL + _LATER:
            self._snapshot = None
            self._open.clear()
        report = _tensor(losses)
        for reports in self._open:
            reports[number] = report
        while self._growing and self._growing[0][0] < number:
            self._growing.popleft()
        for _, state in self._growing:
            state["reports"][number] = report
            state["trained"] = number + 1

    def state(
        self,
        exchange: Exchange,
        position: Position | None,
        header: dict[str, Any],
        known: dict[int, np.ndarray | None],
    ) -> dict[str, Any]:
        """Make the state after the newest report: tensors and plain Python.

        Args:
            exchange: the exchange that made the batches
            position: position at the newest batch reported; None: there is none
            header: identity of the run, and position in the epoch
            known: later reports that an earlier state had, by batch
        """
        ledger = exchange.ledger
        old = ledger.reported - self._first >= _TAIL or exchange.failure != self._failure
        if self._snapshot is None or old:
            place = None if position is None else position.saved()
            taken = {"exchange": exchange.state_dict(), "progress": place}
            self._snapshot = to_checkpoint(taken)
            self._open.append({number: _tensor(losses) for number, losses in known.items()})
            self._first, self._failure = ledger.reported, exchange.failure
        state = {
            **header,
            "snapshot": self._snapshot,
            "abandoned": self._failure is not None,
            "first": self._first,
            "reports": self._open[-1],
            "trained": ledger.reported,
        }
        if ledger.handed_out > ledger.reported:
            self._growing.append((ledger.handed_out - 1, state))
        return state


def _tensor(losses: np.ndarray | None) -> torch.Tensor | None:
    return None if losses is None else torch.from_numpy(losses.copy())


def replayed(
    kind: type[Exchange], spec: PlanSpec, state: dict[str, Any]
) -> tuple[Exchange, Position | None, dict[int, np.ndarray | None]]:
    """Restore the exchange and the position of training from a state.

    Also return the reports of later batches, by batch number. A loader that resumes skips these.
    Reports are replayed in this process, since a worker that fails would make other batches. Those
    since a failure are replayed without the Assistant, since no batch of theirs was shrunk.

    Args:
        kind: class of the exchange
        spec: specification of the plan, as it was when the state was made
        state: a state of `Recorder.state`
    """
    taken = from_checkpoint(state["snapshot"])
    before = dataclasses.replace(spec, abandoned=state.get("abandoned", False))
    replay = Exchange(before, taken["exchange"])
    position = None if taken["progress"] is None else Position.restored(taken["progress"])
    reports = {n: None if x is None else x.cpu().numpy() for n, x in state["reports"].items()}
    for number in range(state["first"], state["trained"]):
        position = Position.of(replay.next_batch())
        replay.report(number, reports.pop(number))
    later = {n: losses for n, losses in reports.items() if n >= state["trained"]}
    # from here on with the Assistant, also after a failure
    return kind(spec, replay.state_dict()), position, later


def header_of(spec: PlanSpec, drop_last: bool) -> dict[str, Any]:
    """Identity of the run that a state belongs to, as plain Python; `check_state` compares it."""
    options = {k: v for k, v in dataclasses.asdict(spec.config).items() if k not in _FREE}
    return {
        "version": STATE_VERSION,
        "strategy": spec.config.strategy,
        "items": spec.items.count,
        "batch_size": spec.limits.max_items,
        "drop_last": drop_last,
        "seed": spec.seed,
        "features": spec.features_hash[:12],
        "difficulty": spec.items.difficulty_hash and spec.items.difficulty_hash[:12],
        "prior": None if spec.prior is None else spec.prior.identity,
        "max_batches": spec.max_update,
        "max_passes": spec.max_passes,
        "lag": spec.lag,
        "options": options,
    }


def check_state(state: Any, spec: PlanSpec, drop_last: bool) -> None:
    """Refuse a state of another run or rank.

    Args:
        state: a state of `AutoAssist.state_dict`
        spec: specification of this rank's plan
        drop_last: whether no batch may be smaller than the batch size

    Raises:
        AutoAssistError: the state belongs to another run or rank; one line names the difference
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
                f"the state has {key} {found}, this run has {expected}: it cannot be resumed; "
                f"{_BEGIN_ANEW}"
            )
    if state["world_size"] != spec.world_size:
        raise AutoAssistError(
            f"the state is of {state['world_size']} ranks, this run has {spec.world_size}: it "
            f"cannot be resumed; {_BEGIN_ANEW}"
        )
    if state["rank"] != spec.rank:
        raise AutoAssistError(
            f"the state is of rank {state['rank']}, this is rank {spec.rank}: save the "
            "state_dict() of each rank, and load it on the same rank"
        )
