"""The data-parallel ranks, as torch.distributed knows them."""

from __future__ import annotations

import torch


def rank_and_world_size() -> tuple[int, int]:
    """Rank of this process and world size; (0, 1) if torch.distributed is not initialised."""
    distributed = torch.distributed
    if not distributed.is_available() or not distributed.is_initialized():
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()


def mean_over_ranks(value: float) -> float:
    """Mean of a value over the ranks, the same on each. A collective: all ranks have to call it."""
    world_size = rank_and_world_size()[1]
    if world_size == 1:
        return value
    values: list[float] = [0.0] * world_size
    torch.distributed.all_gather_object(values, value)
    return sum(values) / world_size
