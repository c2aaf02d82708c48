"""Learning rates over a run; a run of any budget has a whole schedule."""

from __future__ import annotations

import math
from typing import Any

from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from preprocess.text import UserError

RISING = 0.2  # share of a one-cycle run in which the rate rises
FIRST = 0.04  # of the highest rate, at the first update of a one-cycle run
STEPS = (0.5, 0.75)  # shares of a run after which the rate is divided by ten


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


def step(share: float) -> float:
    """Step schedule (He et al. 2016): 0.1 after half of the run, 0.01 after three quarters.

    Args:
        share: share of the run that is done, in [0, 1]

    Returns:
        factor on the highest rate
    """
    return 0.1 ** sum(share >= limit for limit in STEPS)


SCHEDULES = {"one-cycle": one_cycle, "step": step}


def schedule(name: str, optimizer: Any, updates: int) -> LRScheduler:
    """Return the scheduler of a run; step it after each update.

    Args:
        name: a key of `SCHEDULES`
        optimizer: made with the highest rate
        updates: number of updates of the whole run

    Raises:
        UserError: no schedule has that name
    """
    if name not in SCHEDULES:
        known = ", ".join(SCHEDULES)
        raise UserError(f"found the schedule {name!r}; expected one of: {known}")
    factor = SCHEDULES[name]
    return LambdaLR(optimizer, lambda done: factor(min(1.0, done / updates)))
