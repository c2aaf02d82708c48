"""Learning rates over a run; a run of any budget has a whole schedule."""

from __future__ import annotations

import math
from typing import Any

from torch.optim.lr_scheduler import LambdaLR, LRScheduler

NAME = "one-cycle"  # of this schedule, in records
RISING = 0.2  # share of a run in which the rate rises
FIRST = 0.04  # of the highest rate, at the first update


def one_cycle(share: float) -> float:
    """One-cycle schedule (Smith and Topin 2019): up from a 25th of the rate, then down to 0.

    Both parts are half a cosine. torch's own scheduler fails on a run of a few updates.

    Args:
        share: share of the run that is done, in [0, 1]

    Returns:
        factor on the highest rate, in [0, 1]
    """
    if share < RISING:
        return FIRST + (1.0 - FIRST) * (1.0 - math.cos(math.pi * share / RISING)) / 2.0
    return (1.0 + math.cos(math.pi * (share - RISING) / (1.0 - RISING))) / 2.0


def schedule(optimizer: Any, updates: int) -> LRScheduler:
    """Return the scheduler of a run; step it after each update.

    Args:
        optimizer: made with the highest rate
        updates: number of updates of the whole run
    """
    return LambdaLR(optimizer, lambda done: one_cycle(min(1.0, done / updates)))
