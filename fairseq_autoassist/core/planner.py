"""Stream -> coin -> buckets -> batches, whatever the timing.

Micro-batch k (counted per rank over the run) is planned with exactly the loss reports of
micro-batches 0 .. k - lag. Batches are a function of the seed, the settings and the reports, so
they are the same in any process.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

from .batching import KEPT, kept_items, without
from .clock import Clock
from .message import Message
from .protocol import PlannedBatch, PlanSpec, Totals, restore_batches
from .source import FeatureSource, NoFeatures
from .strategies import Choice, Corpus, Report, TrainingPoint, build_strategy, needs_of
from .wholepass import WholePass, batcher_of, stream_of

# A pass is considered in at least so many chunks. In a small corpus decisions then do not run far
# ahead of what the Assistant has learned. A large corpus gets the chunk where numpy is fast.
_CHUNKS_PER_PASS = 64
_SMALLEST_CHUNK, _LARGEST_CHUNK = 64, 8192
# After so many passes without a kept item, all that the prior lets through are kept. One pass later
# those of the highest prior are kept.
_PATIENCE = 2
_STARVED = (
    "no item was kept in two passes over this rank's share of the data: some are kept against the "
    "strategy, so that training goes on"
)


class Planner:
    """Plans micro-batches and learns from their losses.

    Args:
        spec: what to plan from
        features: used in place of ``spec.features``
    """

    def __init__(self, spec: PlanSpec, features: FeatureSource | None = None) -> None:
        self.lag = spec.lag
        if features is None and spec.features is not None:
            features = NoFeatures(spec.dimensions) if spec.abandoned else spec.features.open()
        self.strategy = build_strategy(spec.config, Corpus(spec.items, features))
        needs = needs_of(spec.config)
        if needs.prior == "required" and spec.prior is None and not spec.abandoned:
            raise ValueError(f"the strategy {spec.config.strategy!r} needs a prior")
        self._prior = None if needs.prior == "ignored" else spec.prior
        self.point = TrainingPoint(0.0, 0.0, 0.0)  # of the last decision
        self._clock = Clock(spec.update_freq, spec.updates_before, spec.update_freqs)
        self._max_update, self._max_passes = spec.max_update, spec.max_passes
        self._passes_before = spec.passes_before
        self.stream = stream_of(spec)
        per_pass = self.stream.items_per_pass
        whole_pass = per_pass * spec.world_size
        self._chunk = spec.chunk or int(
            np.clip(whole_pass // _CHUNKS_PER_PASS, _SMALLEST_CHUNK, _LARGEST_CHUNK)
        )
        self.buckets = batcher_of(spec, self.stream)
        self._cost = spec.items.cost  # not the spec: its other arrays are large
        self._ready: deque[np.ndarray] = deque()
        self._next_number = 0
        self._learned = 0  # the strategy has learned from reports 0 .. learned - 1
        self._in_flight: dict[int, PlannedBatch] = {}
        self._reports: dict[int, np.ndarray | None] = {}
        self._updates: dict[int, float] = {}  # of reported micro-batches, where it is known
        self._totals = Totals()
        self._keep_rate = 1.0 if self._prior is None else spec.mean_prior
        self._learning = not spec.abandoned
        self._said = False  # whether the user was told that no item was kept
        if spec.abandoned:
            self.strategy.stop_shrinking()

    @property
    def kept_when_abandoned(self) -> str:
        """Words for what is kept when nothing is shrunk."""
        if self._prior is None:
            return "every item"
        return "every item that its prior lets through"

    @property
    def can_plan(self) -> bool:
        """Whether all reports have come that the next micro-batch is planned with."""
        due = range(self._learned, self._next_number - self.lag + 1)
        return all(number in self._reports for number in due)

    def receive(self, number: int, losses: np.ndarray | None, update: float | None = None) -> None:
        """Take the losses of a micro-batch; the strategy learns from them in order.

        Args:
            number: of the micro-batch
            losses: float32, in the order of its items, for text in nats per target token; None:
                there are none
            update: that it was trained in, counted from 0; None: not known
        """
        self._reports[number] = losses
        if update is not None:
            self._updates[number] = update

    def plan(self) -> PlannedBatch:
        """Plan the next micro-batch.

        Raises:
            RuntimeError: called before `can_plan`
        """
        if not self.can_plan:
            raise RuntimeError(f"micro-batch {self._next_number} planned before its reports came")
        # computed from saved state alone, so that it is the same after a resume
        self.point = self._point_now()
        self._learn(self._next_number - self.lag)
        started, kept = self.stream.position[0], self._totals.kept
        messages: list[Message] = []
        while not self._ready:
            # a small rank under a strict strategy may keep nothing: time would stand still
            whole = self.stream.position[0] - started - 1 if self._totals.kept == kept else 0
            if whole >= _PATIENCE and not self._said:
                messages, self._said = [Message(_STARVED, bad=False)], True
            self._consider(starved=whole >= _PATIENCE, again=whole > _PATIENCE)
        items = self._ready.popleft()
        self._totals = self._totals._replace(
            batches=self._totals.batches + 1, batched=self._totals.batched + len(items)
        )
        batch = PlannedBatch(
            number=self._next_number,
            kept=items,
            totals=self._totals,
            position=self.stream.position,
            passes=self._passes(),
            keep_rate=self._keep_rate,
            metrics=self.strategy.metrics(self.point),
            messages=[*messages, *self.strategy.messages()],
        )
        self._in_flight[batch.number] = batch
        self._next_number += 1
        return batch

    def catch_up(self, delivered: list[PlannedBatch]) -> None:
        """Go on after batches that another planner made from this planner's state.

        The buckets of that planner are lost. Items that it considered and did not deliver are kept
        here where their prior lets them through, by the coin that they had. No such item is lost
        and none comes twice. An item delivered against its coin counts as delivered.

        Args:
            delivered: every batch made since this planner's state was saved, in order
        """
        if not delivered:
            return
        last = delivered[-1]
        pool = [self.buckets.take_all(), *self._ready]
        self._ready.clear()
        while self.stream.position < tuple(last.position):
            ids, coins = self._take_until(last.position)
            chosen = ids if self._prior is None else ids[coins < self._prior.of(ids)]
            pool.append(kept_items(chosen))
            self._count(ids, chosen)
        items = without(np.concatenate(pool), np.concatenate([b.kept for b in delivered]))
        self._ready.extend(self.buckets.again(items))
        self._totals = self._totals._replace(
            batches=last.totals.batches, batched=last.totals.batched
        )
        self._next_number = last.number + 1
        for batch in delivered:
            self._in_flight[batch.number] = batch

    def state_dict(self) -> dict[str, Any]:
        """Numpy arrays and plain Python that decide all later batches."""
        return {
            "stream": self.stream.state_dict(),
            "strategy": self.strategy.state_dict(),
            "buckets": self.buckets.state_dict(),
            "loose": np.empty(0, KEPT),
            # one array: the batches of a whole pass are thousands
            "ready": [np.concatenate(self._ready)] if self._ready else [],
            "ready_sizes": np.array([len(items) for items in self._ready], dtype=np.int64),
            "in_flight": [vars(batch) for batch in self._in_flight.values()],
            "reports": dict(self._reports),
            "updates": dict(self._updates),
            "clock": self._clock.state_dict(),
            "next_number": self._next_number,
            "learned": self._learned,
            "totals": list(self._totals),
            "keep_rate": self._keep_rate,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a saved state; one of the strategy alone leaves the stream at its beginning.

        Raises:
            ValueError: it was saved with other data or settings; the message says which
        """
        self.strategy.load_state_dict(state["strategy"])
        if "stream" not in state:
            return
        self.stream.load_state_dict(state["stream"])
        ready = state["ready"]
        if ready:
            ready = np.split(ready[0], np.cumsum(state["ready_sizes"])[:-1])
        self._ready = deque(ready)
        if state["buckets"] is not None:
            self._ready.extend(self.buckets.load_state_dict(state["buckets"]))
        self._ready.extend(self.buckets.again(state["loose"]))
        batches = restore_batches(state["in_flight"])
        self._in_flight = {batch.number: batch for batch in batches}
        self._reports = dict(state["reports"])
        self._updates = dict(state["updates"])
        self._clock.load_state_dict(state["clock"])
        self._next_number, self._learned = state["next_number"], state["learned"]
        self._totals = Totals(*state["totals"])
        self._keep_rate = state["keep_rate"]

    def _learn(self, last: int) -> None:
        for number in range(self._learned, last + 1):
            losses = self._reports.pop(number)
            self._clock.tick(number, self._updates.pop(number, None))
            items = self._in_flight.pop(number).kept
            if self._learning and losses is not None:
                report = Report(items["id"], losses, items["uniform"])
                self.strategy.observe(report, self.point)
        self._learned = max(self._learned, last + 1)

    def _consider(self, starved: bool = False, again: bool = False) -> None:
        """Decide on the next chunk of items.

        Args:
            starved: keep all of it that the prior lets through
            again: keep the items of the highest prior too, since the prior let none through
        """
        self.point = self._point_now()
        started = self.stream.position[0]
        ids, coins = self.stream.take(self._chunk)
        choice = self.strategy.choose(ids, self.point)
        if starved:
            choice = Choice(np.ones(len(ids), dtype=np.float32), choice.uniform_share)
        # the one place where the prior counts: weights go by the strategy's own probability
        prior = np.ones(len(ids), np.float32) if self._prior is None else self._prior.of(ids)
        keep = coins < choice.probability * prior
        if again:
            keep |= prior == prior.max()
        chosen = ids[keep]
        kept = kept_items(chosen, coins[keep] < choice.uniform_share * prior[keep])
        if choice.weight is not None:
            kept["weight"] = choice.weight[keep]
        self._count(ids, chosen)
        self._ready.extend(self.buckets.add(kept))
        if self.stream.position[0] != started:
            self._ready.extend(self.buckets.end_of_pass())

    def _point_now(self) -> TrainingPoint:
        update = self._clock.at(self._next_number)
        passes, share = self.stream.passes, 0.0
        if self._max_update:
            share = update / self._max_update
        if self._max_passes:
            share = max(share, (self._passes_before + passes) / self._max_passes)
        return TrainingPoint(update, passes, min(share, 1.0))

    def _passes(self) -> float:
        """Passes planned; of a pass that is considered at once, the share that is in batches."""
        if isinstance(self.buckets, WholePass):
            return self._totals.batched / self.stream.mean_per_pass
        return self.stream.passes

    def _take_until(self, position: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        here = self.stream.position
        same_pass = here[0] == position[0]
        count = position[1] - here[1] if same_pass else self.stream.items_per_pass
        return self.stream.take(count)

    def _count(self, considered: np.ndarray, kept: np.ndarray) -> None:
        self._totals = self._totals._replace(
            considered=self._totals.considered + len(considered),
            kept=self._totals.kept + len(kept),
            considered_cost=self._totals.considered_cost + self._cost_of(considered),
            kept_cost=self._totals.kept_cost + self._cost_of(kept),
        )
        # averages over about an eighth of a pass, whatever the size of the chunks
        share = min(1.0, 8.0 * len(considered) / self.stream.items_per_pass)
        self._keep_rate += share * (len(kept) / len(considered) - self._keep_rate)

    def _cost_of(self, ids: np.ndarray) -> int:
        return len(ids) if self._cost is None else int(self._cost[ids].sum(dtype=np.int64))
