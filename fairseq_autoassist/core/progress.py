"""Progress of training, and the share of a pass that is left of it.

An adapter computes the length of an epoch from both.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Sequence

from .protocol import PlannedBatch, PlanSpec, Totals
from .wholepass import plans_whole_passes


class Progress(NamedTuple):
    """Progress of training at the last micro-batch trained on; planning is ahead of it.

    Attributes:
        passes: passes over the data considered so far (a fraction)
        keep_rate: share of the considered items that were kept lately
        totals: counts of items and cost over the run
    """

    passes: float
    keep_rate: float
    totals: Totals

    @classmethod
    def of(cls, batch: PlannedBatch) -> Progress:
        """Progress after a micro-batch."""
        return cls(batch.passes, batch.keep_rate, batch.totals)

    @classmethod
    def restored(cls, saved: Sequence[Any]) -> Progress:
        """Progress from its saved form, ``list(progress)``."""
        return cls(saved[0], saved[1], Totals(*saved[2]))

    def trained(self, spec: PlanSpec) -> float:
        """Passes trained on; items that are kept and in no batch yet do not count.

        Where whole passes are planned, `kept` is counted a pass at once. So batches are counted.

        Args:
            spec: specification of the plan of this rank
        """
        items, totals = items_of_rank(spec), self.totals
        if plans_whole_passes(spec):
            return totals.batched / items
        waiting = max(totals.kept - totals.batched, 0)
        return max(self.passes - waiting / (items * max(self.keep_rate, 1e-9)), 0.0)


def items_of_rank(spec: PlanSpec) -> float:
    """Number of items of a pass on one rank, a mean over the ranks."""
    return spec.items.eligible_count / spec.world_size


def share_left(done: float) -> float:
    """Share of a pass until about one pass more is trained on, at the end of a pass.

    N shares in a row end after N passes.

    Args:
        done: passes trained on so far

    Returns:
        0.5 to 1.5; 1 at the end of a pass
    """
    return round(done + 1) - done
