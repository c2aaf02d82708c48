"""Session of a stream: batches go to the loader, losses come from the criterion."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ..core.progress import Progress
from ..core.protocol import PlannedBatch, PlanSpec
from ..core.worker.client import Exchange
from ..core.worker.process import ProcessExchange
from .losses import LossMailbox


class Session:
    """Owns the exchange, the mailbox of losses, and the ledger of micro-batches.

    The loader takes batches from it, and the criterion hands it losses. The task asks it for the
    plan of a batch that was trained on.

    Args:
        exchange: gives batches and takes losses
        progress: at the last micro-batch trained on; None: there is none

    Raises:
        AssistantFailure: (from any method) the Assistant failed and the config's ``on_failure`` is
            'stop'
    """

    def __init__(self, exchange: Exchange, progress: Progress | None = None) -> None:
        self.exchange, self.progress = exchange, progress
        self._ledger = exchange.ledger
        self._mailbox = LossMailbox(self._ledger, exchange.report)

    @classmethod
    def open(
        cls, spec: PlanSpec, state: dict[str, Any] | None = None, progress: Progress | None = None
    ) -> Session:
        """Start planning, in a worker process unless the config or a failure forbids it.

        Args:
            spec: what to plan from
            state: of the exchange, to resume from; None: the stream begins
            progress: at the last micro-batch trained on; None: there is none
        """
        kind = Exchange if spec.config.inline or spec.abandoned else ProcessExchange
        return cls(kind(spec, state), progress)

    def next_batch(self) -> PlannedBatch:
        """Give the next micro-batch to the loader, in whose thread this may run."""
        return self.exchange.next_batch()

    def begin_step(self, number: int | None, update: int) -> None:
        """Prepare a training step, and report micro-batches that fairseq dropped before it.

        A micro-batch that runs out of memory ends its whole update.

        Args:
            number: of its micro-batch; None: it is a dummy batch
            update: of that micro-batch, counted from 0
        """
        self._mailbox.flush(wait=False)
        self._mailbox.update = update
        if number is not None:
            for dropped in self._ledger.dropped_before(number):
                self._mailbox.skip(dropped)

    def receive(self, number: int, losses: torch.Tensor, order: np.ndarray) -> None:
        """Take item losses from the criterion.

        Args:
            number: of the micro-batch
            losses: nats per target token, shape (B,), on any device
            order: position of each row in the planned batch, int64, shape (B,)
        """
        self._mailbox.put(number, losses, order)

    def end_step(self, number: int | None) -> None:
        """Report a micro-batch whose losses the criterion did not hand over."""
        if number is not None:
            self._mailbox.skip(number)

    def trained(self, number: int) -> PlannedBatch | None:
        """Plan of a micro-batch that was just trained on; a repeated one has no messages."""
        batch = self._ledger.train(number)
        if batch is not None:
            self.progress = Progress.of(batch)
        return batch

    def flush(self) -> None:
        """Report all losses that were received."""
        self._mailbox.flush()

    def state_dict(self) -> dict[str, Any]:
        """State of the exchange after all losses are reported."""
        self.flush()
        return self.exchange.state_dict()

    def close(self) -> None:
        """End the Assistant's process. It may be called again."""
        self.exchange.close()
