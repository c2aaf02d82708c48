"""Statistics of an arm: samples and time to plain training's final error, cost of a sample."""

from __future__ import annotations

from typing import Sequence

import numpy as np

from recipes.compare.statistics import Estimate, estimate
from recipes.images.arms import BASELINE
from recipes.images.records import Panel, Record, baseline_of

ROUNDING = 1e-9  # more than the rounding of a mean, less than one image of a test set
Group = tuple[str, float]  # runs of an arm, by its name, at a share of the budget


def ends(records: Sequence[Record], key: str) -> Estimate | None:
    """Mean over seeds of a figure at the end of the runs, with its 95% interval."""
    return estimate([float(record.ends[key]) for record in records])


def difference(panel: Panel, one: Group, other: Group) -> Estimate | None:
    """Test error of one group minus that of another, paired by seed; None without a common seed."""
    base = {r.run.seed: float(r.ends["test_error"]) for r in panel.of(*other)}
    mine = [r for r in panel.of(*one) if r.run.seed in base]
    return estimate([float(r.ends["test_error"]) - base[r.run.seed] for r in mine])


def reach(record: Record, key: str, level: float, of: str = "test_error") -> float | None:
    """`key` at the first mark from which the test error stays at or below a level.

    Args:
        record: of one run
        key: "samples" or "seconds"
        level: share of wrong images, in [0, 1]; nats where ``of`` is "train_loss"
        of: "test_error" or "train_loss"

    Returns:
        samples or seconds; None if the run ends above the level
    """
    above = np.flatnonzero(np.asarray(record.curve[of]) > level + ROUNDING)
    first = int(above[-1]) + 1 if len(above) else 0
    values = record.curve[key]
    return None if first == len(values) else float(values[first])


def target(panel: Panel, of: str = "test_error") -> float | None:
    """Final test error of plain training at the full budget, the mean over seeds, or None.

    Args:
        of: "test_error" or "train_loss"
    """
    found = ends(panel.of(BASELINE), of)
    return None if found is None else found.mean


def samples_ratio(panel: Panel, arm: str, of: str = "test_error") -> Estimate | None:
    """Ratio of the samples to the target to those of plain training's whole run.

    None unless every seed reaches the target.

    Args:
        of: "test_error" or "train_loss"
    """
    level = target(panel, of)
    if level is None:
        return None
    whole = ends(panel.of(BASELINE), "samples")
    assert whole is not None
    return _all([_over(reach(r, "samples", level, of), whole.mean) for r in panel.of(arm)])


def time_ratio(panel: Panel, arm: str) -> Estimate | None:
    """Ratio of the seconds to the target error to those of plain training in the same session.

    None unless every seed reaches the target and has such a run of plain training.
    """
    error = target(panel)
    if error is None:
        return None
    found = []
    for record in panel.of(arm):
        base = baseline_of(panel, record)
        if base is None:
            return None
        found.append(_over(reach(record, "seconds", error), base.ends["seconds"]))
    return _all(found)


def cost_ratio(panel: Panel, arm: str) -> Estimate | None:
    """Ratio of the seconds per sample to those of plain training in the same session, or None."""
    pairs = [(record, baseline_of(panel, record)) for record in panel.of(arm)]
    return _all([None if b is None else per_sample(r) / per_sample(b) for r, b in pairs])


def per_sample(record: Record) -> float:
    """Seconds of training per sample."""
    return record.ends["seconds"] / record.ends["samples"]


def choosing_share(record: Record) -> float:
    """Share of the seconds spent on waiting for batches, on the report and on weights."""
    return record.ends["choosing_seconds"] / record.ends["seconds"]


def _over(value: float | None, whole: float) -> float | None:
    return None if value is None else value / whole


def _all(values: Sequence[float | None]) -> Estimate | None:
    found = [value for value in values if value is not None]
    return estimate(found) if len(found) == len(values) else None
