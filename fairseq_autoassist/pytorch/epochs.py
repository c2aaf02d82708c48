"""How many batches an epoch has: the same on every rank, fixed when the epoch begins.

By default as many as plain training has. Skipping then makes an epoch go further through the data,
not shorter, so that schedulers which are told ``epochs * len(loader)`` steps stay right.
"""

from __future__ import annotations

from typing import NamedTuple

from ..core.protocol import PlannedBatch, PlanSpec, Totals
from ..errors import ConfigError
from .group import mean_over_ranks

PLAIN, PASS = "plain", "pass"


class Progress(NamedTuple):
    """Where training stands: after the last batch that was reported."""

    passes: float
    keep_rate: float
    totals: Totals
    metrics: dict[str, float]

    @classmethod
    def of(cls, batch: PlannedBatch) -> Progress:
        """After a batch."""
        return cls(batch.passes, batch.keep_rate, batch.totals, batch.metrics)

    @classmethod
    def restored(cls, saved: list) -> Progress:
        """From its saved form."""
        return cls(saved[0], saved[1], Totals(*saved[2]), saved[3])


def check_epoch(epoch: int | str) -> None:
    """Refuse a kind of epoch that there is not.

    Raises:
        ConfigError: names what was found and what is expected
    """
    if isinstance(epoch, int) and not isinstance(epoch, bool) and epoch > 0:
        return
    if epoch not in (PLAIN, PASS):
        raise ConfigError(
            f"found epoch={epoch!r}, expected {PLAIN!r} (as many batches as plain training has), "
            f"{PASS!r} (one pass over the data) or a number of batches of each rank"
        )


def plain_length(spec: PlanSpec, world_size: int, drop_last: bool) -> int:
    """Batches of plain training's epoch on each rank, at least 1."""
    items, size = spec.items.count, spec.limits.max_items or 1
    if drop_last:
        return max(1, items // (size * world_size))
    batches = -(-items // size)
    return -(-batches // world_size)


def pass_length(spec: PlanSpec, progress: Progress | None, plain: int) -> int:
    """Batches until about one pass more, in whole passes, was trained on; a collective.

    Args:
        spec: what is planned from
        progress: None at the start
        plain: batches of plain training's epoch
    """
    items = spec.items.count / spec.world_size
    done, keep_rate = 0.0, spec.mean_prior
    if progress is not None:
        keep_rate = max(progress.keep_rate, 1e-9)
        waiting = max(progress.totals.kept - progress.totals.batched, 0)
        done = max(progress.passes - waiting / (items * keep_rate), 0.0)
    share = round(done + 1) - done
    return max(1, round(mean_over_ranks(share * plain * keep_rate)))
