"""Losses on their way from the device to the planner, each with its micro-batch."""

from __future__ import annotations

import dataclasses
from collections import deque
from typing import Iterator

import numpy as np
import torch

from ..core.protocol import PlannedBatch, rows_to_positions
from ..tensors import HostCopy
from .handed import Handed


class Reports:
    """Takes reports without waiting, and gives them in order once they are on the host.

    Args:
        handed: the micro-batches that may be reported
    """

    def __init__(self, handed: Handed) -> None:
        self._handed = handed
        self._pending: deque[_Report] = deque()

    def __len__(self) -> int:
        """Number of reports that were taken and not given yet."""
        return len(self._pending)

    def put(self, ids: torch.Tensor, losses: torch.Tensor) -> None:
        """Take a report.

        Ids on the host are looked up at once, ids on a device when they have arrived.

        Args:
            ids: integers (B,), on any device
            losses: float32 (B,), on any device

        Raises:
            ReportError: ids on the host belong to no unreported micro-batch
        """
        report = _Report(HostCopy(ids), HostCopy(losses))
        if self._on_host(ids) and all(one.batch is not None for one in self._pending):
            report.find(self._handed)
        self._pending.append(report)

    @staticmethod
    def _on_host(ids: torch.Tensor) -> bool:
        return ids.device.type == "cpu"

    def arrived(self, wait_for: int) -> Iterator[tuple[PlannedBatch, np.ndarray | None]]:
        """Yield reported micro-batches with their losses, and left out ones with None, in order.

        Losses are float32 (B,), in the order of the items of their micro-batch.

        Args:
            wait_for: number of reports to wait for; later ones are given if they have arrived

        Raises:
            ReportError: ids from a device belong to no unreported micro-batch
        """
        while self._pending and (wait_for > 0 or self._pending[0].arrived):
            wait_for -= 1
            report = self._pending.popleft()
            batch = report.batch or report.find(self._handed)
            for left_out in report.left_out:
                yield left_out, None
            losses = np.empty(len(report.order), dtype=np.float32)
            losses[report.order] = report.losses.numpy()
            yield batch, losses


@dataclasses.dataclass
class _Report:
    """Losses and ids on their way, and their micro-batch once it is known."""

    ids: HostCopy
    losses: HostCopy
    batch: PlannedBatch | None = None
    left_out: list[PlannedBatch] = dataclasses.field(default_factory=list)
    order: np.ndarray = dataclasses.field(default_factory=lambda: np.empty(0, dtype=np.int64))

    @property
    def arrived(self) -> bool:
        """Whether ids and losses are on the host."""
        return self.ids.arrived and self.losses.arrived

    def find(self, handed: Handed) -> PlannedBatch:
        """Find the micro-batch of this report.

        Raises:
            ReportError: no unreported micro-batch has these ids
        """
        ids = self.ids.numpy()
        self.batch, self.left_out = handed.take(ids)
        self.order = rows_to_positions(ids, self.batch.ids)
        return self.batch
