"""States of all data-bins (``a:b``): each keeps its position, one Assistant goes through all.

This file writes them into a checkpoint, for all ranks; `restoring.py` reads them. A run with a
single data-bin has one shard.
"""

from __future__ import annotations

import logging
import math
from typing import Any

from ..core.clock import update_reached
from ..core.progress import Progress
from ..core.protocol import PlanSpec, Totals
from ..core.strategies import strategy_class
from ..core.worker.client import begin_with
from ..tensors import to_checkpoint
from .checkpoints import (
    check_data,
    check_data_bins,
    check_state,
    check_version,
    data_header,
    state_header,
)
from .ranks import Ranks
from .restoring import restore, whole_updates

logger = logging.getLogger(__name__)


class Shards:
    """Keeps this rank's states by data-bin, between the iterators that fairseq makes for them."""

    def __init__(self) -> None:
        self.current = 0
        self.data_bins = 1  # of the run
        # by shard: state of the exchange, progress, header of the data-bin, prior
        self._states: dict[int, dict[str, Any]] = {}
        self._last = 0  # shard with the newest state of the strategy
        self.failed = False  # the Assistant failed in any of them, and is not started again
        self.epochs_before = 0  # epochs of the run without this plugin
        self.began_elsewhere = False  # the checkpoint does not tell the count of updates
        self.counts_anew = False  # the trainer counts updates from 0, whatever the checkpoint says

    @property
    def elsewhere(self) -> Totals:
        """Counts of the shards other than the current one."""
        totals = [
            state["progress"][2]
            for shard, state in self._states.items()
            if shard != self.current and state["progress"] is not None
        ]
        return Totals(*(sum(column) for column in zip(*totals))) if totals else Totals()

    @property
    def passes_elsewhere(self) -> float:
        """Passes of the run over the data-bins other than the current one."""
        others = (state["progress"] for s, state in self._states.items() if s != self.current)
        return sum(float(progress[0]) for progress in others if progress is not None)

    @property
    def trained_elsewhere(self) -> int:
        """Micro-batches of each rank in shards other than the current one."""
        others = (s for shard, s in self._states.items() if shard != self.current)
        return sum(state["exchange"]["trained"] for state in others)

    def keep_rate(self, spec: PlanSpec) -> float:
        """Latest share of pairs kept, as it would be under the prior of ``spec``.

        At the start of the run it is the mean of that prior.
        """
        newest = self._states.get(self._last)
        if newest is None or newest["progress"] is None:
            return spec.mean_prior
        return _under(spec, Progress.restored(newest["progress"]).keep_rate, newest)

    @property
    def updates_before(self) -> float:
        """Updates of the run so far, for a stream that has no count of its own.

        It is infinity where the first report tells; nothing is skipped until then.
        """
        if self._last not in self._states:
            return math.inf if self.began_elsewhere else 0.0
        return update_reached(self._states[self._last]["exchange"])

    def here(self, spec: PlanSpec) -> tuple[dict[str, Any] | None, Progress | None]:
        """State of the exchange, and progress, to resume the current shard from.

        Both are None where nothing was trained on yet. In a new shard the stream begins, with what
        the strategy has learned in others.

        Raises:
            AutoAssistError: the state is of another data-bin; the message tells what to do
        """
        newest, state = self._states.get(self._last), self._states.get(self.current)
        if newest is None:
            return None, None
        strategy = self._strategy(spec, newest, state)
        if state is None:
            return begin_with(strategy), None
        check_data(state["data"], spec, self.current)
        _say_other_prior(state, spec)
        exchange = state["exchange"]
        planner = {**exchange["planner"], "strategy": strategy}
        planner["keep_rate"] = _under(spec, planner["keep_rate"], state)
        if self._last != self.current:  # its clock stood still in other shards
            planner["clock"] = [exchange["trained"], update_reached(newest["exchange"])]
        progress = None if state["progress"] is None else Progress.restored(state["progress"])
        if progress is not None:
            progress = progress._replace(keep_rate=_under(spec, progress.keep_rate, state))
        return {**exchange, "planner": planner}, progress

    def _strategy(
        self, spec: PlanSpec, newest: dict[str, Any], state: dict[str, Any] | None
    ) -> dict[str, Any]:
        """State of the strategy for the current shard, whose state is ``state``."""
        if self._last == self.current:
            return _strategy_state(newest)
        mine = None if state is None else _strategy_state(state)
        kind = strategy_class(spec.config.strategy)
        return kind.on_other_data(_strategy_state(newest), mine)

    def own(
        self, exchange: dict[str, Any] | None, progress: Progress | None, spec: PlanSpec
    ) -> dict[str, Any]:
        """Remember the current shard; returns all shards in the form of a checkpoint."""
        if exchange is not None:
            saved = None if progress is None else list(progress)
            state = {"exchange": exchange, "progress": saved, "data": data_header(spec)}
            self._states[self.current] = {**state, "prior": [_prior_of(spec), spec.mean_prior]}
            self._last = self.current
        return to_checkpoint({"shards": self._states, "last": self._last})

    def saved(
        self, spec: PlanSpec, offset: int, length: int, ranks: list[dict[str, Any]]
    ) -> dict[str, Any]:
        """Make what goes into the checkpoint.

        Args:
            spec: of the current shard
            offset, length: micro-batches trained on in the epoch, and its length; 0, 0 at its start
            ranks: `own` of every rank
        """
        header = state_header(spec)
        run = {"data-bins": self.data_bins, "epochs before": self.epochs_before}
        epoch = {"shard": self.current, "offset": offset, "length": length}
        return {**header, **run, **epoch, "ranks": ranks}

    def load(
        self,
        saved: dict[str, Any],
        spec: PlanSpec,
        ranks: Ranks,
        update_freq: int,
        unit: int | None = None,
    ) -> dict[str, int]:
        """Take over a checkpoint, of any number of ranks.

        Args:
            saved: of `saved`
            spec: of the current shard
            ranks: of this run
            update_freq: of the epoch
            unit: see `whole_updates`

        Returns:
            offset and length of the epoch, in micro-batches of this number of ranks

        Raises:
            AutoAssistError: it is of another run or version; the message tells the difference
        """
        check_version(saved)
        check_data_bins(saved, self.data_bins)
        check_state(saved, spec, same_data=saved["shard"] == self.current)
        restored = restore(saved, spec, ranks, self.counts_anew)
        self.epochs_before = saved["epochs before"]
        self._states, self._last = restored.states, restored.last
        return whole_updates(saved["offset"], saved["length"], restored.left, update_freq, unit)


def _prior_of(spec: PlanSpec) -> str:
    return "none" if spec.prior is None else spec.prior.identity


def _under(spec: PlanSpec, keep_rate: float, state: dict[str, Any]) -> float:
    """Share of pairs kept in a shard, as it would be under the prior of ``spec``."""
    mean, before = spec.mean_prior, state["prior"][1]
    # under the same prior exactly as it was, since a resume is exact
    return keep_rate if mean == before else min(1.0, keep_rate * mean / before)


def _say_other_prior(state: dict[str, Any], spec: PlanSpec) -> None:
    found, mine = state["prior"][0], _prior_of(spec)
    if found != mine:
        logger.warning(
            f"AutoAssist: the checkpoint was made under the prior {found}, this run has {mine} and "
            "goes on with that"
        )


def _strategy_state(shard: dict[str, Any]) -> dict[str, Any]:
    return shard["exchange"]["planner"]["strategy"]
