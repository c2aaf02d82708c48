"""Replay of a lost planner, from which another one goes on."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ..planner import Planner
from ..protocol import PlannedBatch, PlanSpec


class Replay:
    """Batches and reports since a planner's state was last known; see `Planner.catch_up`.

    It also holds batches that the worker planned ahead. The ledger has none of these, since they
    were not handed out yet.
    """

    def __init__(self, planner_state: dict[str, Any] | None) -> None:
        self._state = planner_state
        self._delivered: list[PlannedBatch] = []
        self._reports: dict[int, tuple[np.ndarray | None, float | None]] = {}

    def delivered(self, batch: PlannedBatch) -> None:
        """Remember a batch that was planned since."""
        self._delivered.append(batch)

    def reported(self, number: int, losses: np.ndarray | None, update: float | None) -> None:
        """Remember a report given since."""
        self._reports[number] = losses, update

    def known(self, planner_state: dict[str, Any]) -> None:
        """Take a newer state, and forget what it holds already."""
        self._state = planner_state
        self._delivered = [b for b in self._delivered if b.number >= planner_state["next_number"]]
        held, learned = planner_state["reports"], planner_state["learned"]
        self._reports = {n: x for n, x in self._reports.items() if n >= learned and n not in held}

    def successor(self, spec: PlanSpec) -> Planner:
        """Make a planner that goes on where the lost one was, without skipping or learning.

        It keeps the prior, unless the file of that can no longer be read.
        """
        prior = None if spec.prior is None else spec.prior.in_memory()
        planner = Planner(dataclasses.replace(spec, abandoned=True, prior=prior))
        if self._state is not None:
            planner.load_state_dict(self._state)
        planner.catch_up(self._delivered)
        for number, (losses, update) in self._reports.items():
            planner.receive(number, losses, update)
        return planner
