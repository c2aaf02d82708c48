"""The streams of all data-bins (``a:b``): each keeps its position, one Assistant goes through all.

Also the form in which they stand in a checkpoint, for all ranks, and the way back on any number of
ranks. A run with a single data-bin is a run with one shard.
"""

from __future__ import annotations

import dataclasses
import logging
import math
from typing import Any

from ..core.batching import BatchLimits
from ..core.clock import update_reached
from ..core.protocol import PlanSpec, Totals
from ..core.resize import rebatched, redistribute, reports_waiting, share_totals
from ..core.strategies import strategy_class
from .checkpoints import (
    LIMITS,
    check_data,
    check_data_bins,
    check_state,
    check_version,
    data_header,
    from_checkpoint,
    state_header,
    to_checkpoint,
)
from .epochs import Progress
from .ranks import Ranks

logger = logging.getLogger(__name__)


class Shards:
    """This rank's states by data-bin, between the iterators that fairseq makes for them."""

    def __init__(self) -> None:
        self.current = 0
        self.data_bins = 1  # of the run
        # by shard: state of the exchange, progress, and what tells the data-bin
        self._states: dict[int, dict[str, Any]] = {}
        self._last = 0  # the shard whose strategy state is the newest
        self.failed = False  # the Assistant, in any of them: it is not started again
        self.epochs_before = 0  # of the run, trained without this plugin
        self.began_elsewhere = False  # with a checkpoint from which no count of updates is taken
        self.counts_anew = False  # the trainer, from 0, whatever the checkpoint says

    @property
    def elsewhere(self) -> Totals:
        """Counts of the shards that are not being trained on now."""
        totals = [
            state["progress"][2]
            for shard, state in self._states.items()
            if shard != self.current and state["progress"] is not None
        ]
        return Totals(*(sum(column) for column in zip(*totals))) if totals else Totals()

    @property
    def passes_elsewhere(self) -> float:
        """Passes of the run over the data-bins that are not being trained on now."""
        others = (state["progress"] for s, state in self._states.items() if s != self.current)
        return sum(float(progress[0]) for progress in others if progress is not None)

    @property
    def trained_elsewhere(self) -> int:
        """Micro-batches of the run, of each rank, in shards that are not being trained on now."""
        others = (s for shard, s in self._states.items() if shard != self.current)
        return sum(state["exchange"]["trained"] for state in others)

    def keep_rate(self, spec: PlanSpec) -> float:
        """Share of pairs kept where the run stands, in whatever shard, under the prior of ``spec``;
        at its start the mean of that."""
        newest = self._states.get(self._last)
        if newest is None or newest["progress"] is None:
            return spec.mean_prior
        return _under(spec, Progress.restored(newest["progress"]).keep_rate, newest)

    @property
    def updates_before(self) -> float:
        """Updates of the run so far, for a stream that has no count of its own.

        Infinity where the first report will tell: nothing is skipped until then.
        """
        if self._last not in self._states:
            return math.inf if self.began_elsewhere else 0.0
        return update_reached(self._states[self._last]["exchange"])

    def here(
        self, spec: PlanSpec
    ) -> tuple[dict[str, Any] | None, Progress | None, dict[str, Any] | None]:
        """Where to go on in the current shard: state of the exchange, progress, and what the
        strategy knows (None each, if there is nothing yet).

        Raises:
            AutoAssistError: the state is of another data-bin; the message says what to do
        """
        state, strategy = self._states.get(self.current), None
        if self._last in self._states:
            strategy = _strategy_state(self._states[self._last])
        if strategy is not None and self._last != self.current:
            mine = None if state is None else _strategy_state(state)
            strategy = strategy_class(spec.config.strategy).on_other_data(strategy, mine)
        if state is None:
            return None, None, strategy
        check_data(state["data"], spec, self.current)
        _say_other_prior(state, spec)
        exchange = state["exchange"]
        planner = {**exchange["planner"], "strategy": strategy}
        planner["keep_rate"] = _under(spec, planner["keep_rate"], state)
        if self._last != self.current:  # its own clock stood still meanwhile
            reached = update_reached(self._states[self._last]["exchange"])
            planner["clock"] = [exchange["trained"], reached]
        progress = None if state["progress"] is None else Progress.restored(state["progress"])
        if progress is not None:
            progress = progress._replace(keep_rate=_under(spec, progress.keep_rate, state))
        return {**exchange, "planner": planner}, progress, strategy

    def own(
        self, exchange: dict[str, Any] | None, progress: Progress | None, spec: PlanSpec
    ) -> dict[str, Any]:
        """Remember the current shard; returns the states of all shards in checkpoint form."""
        if exchange is not None:
            saved = None if progress is None else list(progress)
            state = {"exchange": exchange, "progress": saved, "data": data_header(spec)}
            self._states[self.current] = {**state, "prior": [_prior_of(spec), spec.mean_prior]}
            self._last = self.current
        return to_checkpoint({"shards": self._states, "last": self._last})

    def saved(
        self, spec: PlanSpec, offset: int, length: int, ranks: list[dict[str, Any]]
    ) -> dict[str, Any]:
        """What goes into the checkpoint.

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
        self, saved: dict[str, Any], spec: PlanSpec, ranks: Ranks, update_freq: int
    ) -> dict[str, int]:
        """Take over a checkpoint, of any number of ranks.

        Returns:
            offset and length of the epoch, in micro-batches of this number of ranks

        Raises:
            AutoAssistError: it is of another run or version; the message says in what
        """
        check_version(saved)
        check_data_bins(saved, self.data_bins)
        check_state(saved, spec, same_data=saved["shard"] == self.current)
        self.epochs_before = saved["epochs before"]
        as_before = len(saved["ranks"]) == ranks.world_size
        needed = [saved["ranks"][ranks.rank]] if as_before else saved["ranks"]
        states = [from_checkpoint(state) for state in needed]
        if self.counts_anew:
            for shard in (shard for state in states for shard in state["shards"].values()):
                shard["exchange"]["planner"]["clock"] = [shard["exchange"]["trained"], 0.0]
        offset, length = saved["offset"], saved["length"]
        left = (length - offset) * _under_other_limits(saved, states, spec)
        if as_before:
            self._states, self._last = states[0]["shards"], states[0]["last"]
            return _whole_updates(offset, length, left, update_freq)
        lost = sum(reports_waiting(s["exchange"]) for st in states for s in st["shards"].values())
        logger.info(
            f"AutoAssist: going on over {ranks.world_size} ranks, saved by {len(states)}: the pass "
            "is finished with no pair repeated or left out, each Assistant starts from their mean, "
            f"{lost} reports are not learned from"
        )
        self._last = states[0]["last"]
        self._states = {
            shard: _on_other_ranks([state["shards"][shard] for state in states], spec, ranks)
            for shard in states[0]["shards"]
        }
        left *= len(states) / ranks.world_size
        return _whole_updates(offset, length, left, update_freq)


def _under_other_limits(
    saved: dict[str, Any], states: list[dict[str, Any]], spec: PlanSpec
) -> float:
    """Let the states of ranks go on under the batch limits of ``spec``, and say so if they are
    others; returns batches of a pass under these, to those under the saved ones."""
    limits = BatchLimits(*saved[LIMITS])
    if limits == spec.limits:
        return 1.0
    logger.warning(
        f"AutoAssist: the checkpoint was made under {limits.flags}, this run has "
        f"{spec.limits.flags}: the stream goes on, in batches of that size"
    )
    before = dataclasses.replace(spec, limits=limits)
    ratio = spec.stock_batches / before.stock_batches
    for shard in (shard for state in states for shard in state["shards"].values()):
        shard["exchange"] = rebatched(shard["exchange"], ratio)
        if shard["progress"] is not None:
            passes, keep_rate, totals = shard["progress"]
            totals = Totals(*totals)
            totals = totals._replace(batches=round(totals.batches * ratio))
            shard["progress"] = [passes, keep_rate, list(totals)]
    return ratio


def _whole_updates(offset: int, length: int, left: float, update_freq: int) -> dict[str, int]:
    """The epoch with what is left of it in whole updates: --update-freq may be another now.

    fairseq groups micro-batches from the start of the epoch, so that is whole updates too.
    """
    if not length:
        return {"offset": offset, "length": 0}
    updates = max(1, round(left / update_freq))
    begun = math.ceil(offset / update_freq)
    return {"offset": begun * update_freq, "length": (begun + updates) * update_freq}


def _prior_of(spec: PlanSpec) -> str:
    return "none" if spec.prior is None else spec.prior.identity


def _saved_prior(state: dict[str, Any]) -> tuple[str, float]:
    """What tells the prior that a shard's state was saved under, and its mean."""
    identity, mean = state["prior"]
    return identity, mean


def _under(spec: PlanSpec, keep_rate: float, state: dict[str, Any]) -> float:
    """A share of pairs kept in a shard, as it would be under the prior of ``spec``."""
    return min(1.0, keep_rate * spec.mean_prior / _saved_prior(state)[1])


def _say_other_prior(state: dict[str, Any], spec: PlanSpec) -> None:
    found, mine = _saved_prior(state)[0], _prior_of(spec)
    if found != mine:
        logger.warning(
            f"AutoAssist: the checkpoint was made under the prior {found}, this run has {mine}: "
            "it goes on with that"
        )


def _strategy_state(shard: dict[str, Any]) -> dict[str, Any]:
    return shard["exchange"]["planner"]["strategy"]


def _on_other_ranks(states: list[dict[str, Any]], spec: PlanSpec, ranks: Ranks) -> dict[str, Any]:
    exchanges = [state["exchange"] for state in states]
    exchange = redistribute(exchanges, spec.config.strategy, ranks.rank, ranks.world_size)
    progress = None
    if states[0]["progress"] is not None:
        passes, keep_rates, totals = zip(*(state["progress"] for state in states))
        share = share_totals(list(totals), ranks.rank, ranks.world_size)
        progress = [sum(passes) / len(states), sum(keep_rates) / len(states), share]
    same = {key: states[0][key] for key in ("data", "prior")}
    return {"exchange": exchange, "progress": progress, **same}
