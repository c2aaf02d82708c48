"""Data-parallel ranks: fairseq's group, and two collectives."""

from __future__ import annotations

import functools
from typing import Any

import torch
from fairseq import checkpoint_utils
from fairseq.distributed import utils as distributed_utils


class Ranks:
    """Rank of this process, and its collectives.

    Args:
        rank, world_size: as fairseq passes them to `get_batch_iterator`
    """

    def __init__(self, rank: int, world_size: int) -> None:
        self.rank, self.world_size = rank, world_size

    def gather(self, value: Any) -> list[Any]:
        """Gather the value of every rank, by rank; a collective, which all ranks must call."""
        if self.world_size == 1:
            return [value]
        values: list[Any] = [None] * self.world_size
        group = distributed_utils.get_data_parallel_group()
        torch.distributed.all_gather_object(values, value, group=group)
        return values

    def mean(self, value: float) -> float:
        """Mean over the ranks, the same number on each; a collective."""
        values = self.gather(value)
        return sum(values) / len(values)


def gather_before_saving() -> None:
    """Let the iterator gather the states of all ranks before fairseq saves a checkpoint.

    `save_checkpoint` is the only function of fairseq that is patched. fairseq asks for the
    iterator's state on the master only, where a collective would hang. `save_checkpoint` is the
    last call before that which all ranks make.
    """
    original = checkpoint_utils.save_checkpoint
    if hasattr(original, "autoassist"):
        return

    @functools.wraps(original)
    def save_checkpoint(cfg: Any, trainer: Any, epoch_itr: Any, val_loss: Any) -> Any:
        if not hasattr(epoch_itr, "gather_states") or cfg.no_save:
            return original(cfg, trainer, epoch_itr, val_loss)
        epoch_itr.gather_states()
        try:
            return original(cfg, trainer, epoch_itr, val_loss)
        finally:
            epoch_itr.forget_states()  # otherwise ranks that write nothing would keep them

    save_checkpoint.autoassist = True  # type: ignore[attr-defined]
    checkpoint_utils.save_checkpoint = save_checkpoint
