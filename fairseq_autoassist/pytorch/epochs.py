"""Number of batches of an epoch: the same on every rank, fixed when the epoch begins.

By default an epoch has as many batches as in plain training. With skipping it then covers more of
the data and is not shorter. So a scheduler may be given ``epochs * len(loader)`` steps.
"""

from __future__ import annotations

import numbers

from ..core.progress import Progress, share_left
from ..core.protocol import PlanSpec
from ..errors import ConfigError
from .group import mean_over_ranks

PLAIN, PASS = "plain", "pass"


def check_epoch(epoch: int | str) -> None:
    """Refuse a wrong kind of epoch.

    Args:
        epoch: 'plain', 'pass', or a number of batches, at least 1

    Raises:
        ConfigError: `epoch` is none of these
    """
    if isinstance(epoch, numbers.Integral) and not isinstance(epoch, bool) and epoch > 0:
        return
    if epoch not in (PLAIN, PASS):
        raise ConfigError(
            f"found epoch={epoch!r}, expected {PLAIN!r} (as many batches as plain training has), "
            f"{PASS!r} (one pass over the data) or a number of batches of each rank"
        )


def plain_length(spec: PlanSpec, world_size: int, drop_last: bool) -> int:
    """Number of batches of an epoch of plain training on each rank, at least 1."""
    items, size = spec.items.count, spec.limits.max_items or 1
    if drop_last:
        return max(1, items // (size * world_size))
    batches = -(-items // size)
    return -(-batches // world_size)


def pass_length(spec: PlanSpec, progress: Progress | None, plain: int) -> int:
    """Number of batches of an epoch that ends after about one more pass, at the end of a pass.

    It is a mean over the ranks, at least 1. All ranks have to call it (a collective).

    Args:
        spec: the specification of this rank's plan
        progress: progress of training; None at the start
        plain: batches of an epoch of plain training
    """
    done, keep_rate = 0.0, spec.mean_prior
    if progress is not None:
        done, keep_rate = progress.trained(spec), progress.keep_rate
    return max(1, round(mean_over_ranks(share_left(done) * plain * keep_rate)))
