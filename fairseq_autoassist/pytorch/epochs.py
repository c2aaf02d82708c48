"""Number of batches of an epoch: the same on every rank, fixed when the epoch begins.

By default an epoch has as many batches as in plain training. With skipping it then covers more of
the data and is not shorter. So a scheduler may be given ``epochs * len(loader)`` steps.
"""

from __future__ import annotations

from typing import NamedTuple

from ..core.protocol import PlannedBatch, PlanSpec, Totals
from ..errors import ConfigError
from .group import mean_over_ranks

PLAIN, PASS = "plain", "pass"


class Progress(NamedTuple):
    """Position of training after the last batch that was reported.

    Attributes:
        passes: passes over the data considered so far (a fraction)
        keep_rate: share of the considered items that were kept lately
        totals: counts of items and cost over the run
        metrics: metrics of the strategy
    """

    passes: float
    keep_rate: float
    totals: Totals
    metrics: dict[str, float]

    @classmethod
    def of(cls, batch: PlannedBatch) -> Progress:
        """Make the position after a batch."""
        return cls(batch.passes, batch.keep_rate, batch.totals, batch.metrics)

    @classmethod
    def restored(cls, saved: list) -> Progress:
        """Restore a position from its saved form, ``list(progress)``."""
        return cls(saved[0], saved[1], Totals(*saved[2]), saved[3])


def check_epoch(epoch: int | str) -> None:
    """Refuse a wrong kind of epoch.

    Args:
        epoch: 'plain', 'pass', or a number of batches, at least 1

    Raises:
        ConfigError: `epoch` is none of these
    """
    if isinstance(epoch, int) and not isinstance(epoch, bool) and epoch > 0:
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
        progress: position of training; None at the start
        plain: batches of an epoch of plain training
    """
    items = spec.items.count / spec.world_size
    done, keep_rate = 0.0, spec.mean_prior
    if progress is not None:
        keep_rate = max(progress.keep_rate, 1e-9)
        waiting = max(progress.totals.kept - progress.totals.batched, 0)
        done = max(progress.passes - waiting / (items * keep_rate), 0.0)
    share = round(done + 1) - done
    return max(1, round(mean_over_ranks(share * plain * keep_rate)))
