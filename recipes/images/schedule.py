"""The learning rate over a run: each budget has a whole schedule of its own."""

from __future__ import annotations

from typing import Any

from torch.optim.lr_scheduler import LRScheduler, MultiStepLR, OneCycleLR

from preprocess.text import UserError

RISING = 0.2  # share of a one-cycle run in which the rate rises
STEPS = (0.5, 0.75)  # shares of a run after which the rate is divided by ten


def one_cycle(optimizer: Any, updates: int, rate: float) -> LRScheduler:
    """Smith and Topin 2019: up to the rate, then down to nearly 0, by half a cosine each."""
    return OneCycleLR(
        optimizer, rate, total_steps=updates + 1, pct_start=RISING, cycle_momentum=False
    )


def step(optimizer: Any, updates: int, rate: float) -> LRScheduler:
    """He et al. 2016: a tenth after half of the run, a hundredth after three quarters."""
    return MultiStepLR(optimizer, [max(1, round(share * updates)) for share in STEPS])


SCHEDULES = {"one-cycle": one_cycle, "step": step}


def schedule(name: str, optimizer: Any, updates: int, rate: float) -> LRScheduler:
    """Return the scheduler of a run; step it after each update.

    Args:
        updates: of the whole run
        rate: the highest learning rate

    Raises:
        UserError: there is no schedule of that name
    """
    if name not in SCHEDULES:
        known = ", ".join(SCHEDULES)
        raise UserError(f"found the schedule {name!r}; expected one of: {known}")
    return SCHEDULES[name](optimizer, updates, rate)
