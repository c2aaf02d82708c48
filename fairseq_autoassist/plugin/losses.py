"""Sentence losses, and their copy to the host without a synchronisation."""

from __future__ import annotations

from collections import deque
from typing import Callable

import numpy as np
import torch

from ..core.ledger import Ledger
from ..tensors import HostCopy


def sentence_losses(
    lprobs: torch.Tensor, target: torch.Tensor, pad: int, skipped: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Unsmoothed negative log-likelihood of each sentence in nats, and its tokens: both (B,).

    Args:
        lprobs: log-probabilities, shape (B, T, V) or (B * T, V)
        target: token ids, shape (B, T)
        pad: id that does not count
        skipped: number of tokens at the start of each target that do not count
    """
    nll = -lprobs.view(*target.shape, -1).gather(-1, target.unsqueeze(-1)).squeeze(-1)
    counted = target.ne(pad)
    counted[:, :skipped] = False
    return nll.float().masked_fill(~counted, 0.0).sum(1), counted.sum(1).clamp(min=1)


class LossMailbox:
    """Copies losses to the host while the device computes, and posts them in order.

    Copies into pinned memory are queued in the forward pass. fairseq waits for the gradient norm
    before the optimizer steps, so they are complete by then and `flush` does not wait.

    Args:
        ledger: tells whether a micro-batch has an outcome already
        post: called with (number of the micro-batch, losses in the order of its pairs or None,
            update that it was trained in)
    """

    def __init__(self, ledger: Ledger, post: Callable[[int, np.ndarray | None, int], None]) -> None:
        self._ledger, self._post = ledger, post
        self._pending: deque[tuple[int, int, HostCopy, np.ndarray]] = deque()
        self.update = 0  # of the losses that are put in now, counted from 0

    def put(self, number: int, losses: torch.Tensor, order: np.ndarray) -> None:
        """Take the losses of a micro-batch; those of a repeated batch are ignored.

        Args:
            number: of the micro-batch
            losses: nats/token, shape (B,), on any device
            order: position of each row in the planned batch, int64, shape (B,)
        """
        if not self._ledger.take_outcome(number):
            return
        copy = HostCopy(losses.detach().float())
        self._pending.append((number, self.update, copy, order))

    def skip(self, number: int) -> None:
        """Post that a micro-batch gave no losses; it may have run out of memory."""
        if self._ledger.take_outcome(number):
            self.flush()
            self._post(number, None, self.update)

    def flush(self, wait: bool = True) -> None:
        """Post all losses that were put in; without ``wait`` those that are on the host."""
        while self._pending:
            number, update, losses, order = self._pending[0]
            if not wait and not losses.arrived:
                return
            self._pending.popleft()
            ordered = np.empty(len(order), dtype=np.float32)
            ordered[order] = losses.numpy()
            self._post(number, ordered, update)
