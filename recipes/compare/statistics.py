"""Means over seeds with their intervals, paired differences, ratios of cost, and crossings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Sequence

import numpy as np
from scipy import stats
from sklearn.isotonic import IsotonicRegression

from recipes.compare.records import Condition, Record, Values
from recipes.compare.sections import Cell, Section

CONFIDENCE = 0.95
MARGIN = 0.3  # BLEU; non-inferior: the interval of the difference lies above minus this


class Estimate(NamedTuple):
    """A mean over `n` seeds; `low` and `high` (its 95% t interval) are None for a single seed."""

    mean: float
    low: float | None
    high: float | None
    n: int

    def above(self, bound: float) -> bool | None:
        """Whether the whole interval lies above `bound`; None: one seed has no interval."""
        return None if self.low is None else self.low > bound


def estimate(values: Sequence[float]) -> Estimate | None:
    """Return the mean and its two-sided 95% t interval over seeds; None of no values."""
    n = len(values)
    if n == 0:
        return None
    mean = float(np.mean(values))
    if n == 1:
        return Estimate(mean, None, None, 1)
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, n - 1) * stats.sem(values))
    return Estimate(mean, mean - half, mean + half, n)


def end(cell: Cell, key: str) -> Estimate | None:
    """Estimate of a figure at the end of the runs; None where no run has it."""
    return estimate([r.end[key] for r in cell.records if key in r.end])


def difference(cell: Cell, other: Cell, key: str = "BLEU") -> Estimate | None:
    """Estimate of cell minus other at the end, paired by seed; None without a common seed."""
    others = {r.seed: r.end[key] for r in other.records}
    return estimate([r.end[key] - others[r.seed] for r in cell.records if r.seed in others])


def ratio(cell: Cell, base: Cell, key: str) -> float:
    """Ratio of means of a count of the whole run (tokens, padded_tokens), on any device."""
    mine, theirs = ([r.train[key] for r in c.records] for c in (cell, base))
    return float(np.mean(mine) / np.mean(theirs))


def _scale(record: Record, base: Cell, key: str) -> float:
    """A time of the baseline's run with the record's condition and seed.

    Without that seed, the mean of the baseline's runs under the condition, which must have one."""
    alike = [r for r in base.records if r.condition == record.condition]
    own = [r for r in alike if r.seed == record.seed]
    return float(np.mean([spent(r, key) for r in own or alike]))


def spent(record: Record, key: str) -> float:
    """A time of the whole run; wall time includes making the features that the run reads."""
    return record.train[key] + (record.features_s if key == "wall_s" else 0.0)


def comparable(cell: Cell, base: Cell) -> list[Record]:
    """Records of the cell under a condition that the baseline ran under too."""
    conditions = {r.condition for r in base.records}
    return [r for r in cell.records if r.condition in conditions]


def commonest(section: Section) -> Condition:
    """The condition of most runs of a section, for figures with one axis of time."""
    conditions = [record.condition for record in section.records]
    return max(sorted(set(conditions)), key=conditions.count)


def time_ratio(cell: Cell, base: Cell, key: str = "wall_s") -> float | None:
    """Mean over runs of a time, each as a ratio to the baseline's under the same condition.

    The baseline's run of the same seed is preferred. None if no run of the cell shares its
    condition with a run of the baseline.
    """
    ratios = [spent(r, key) / _scale(r, base, key) for r in comparable(cell, base)]
    return float(np.mean(ratios)) if ratios else None


def mean_curve(rows: Sequence[Sequence[Values]], keys: Sequence[str]) -> dict[str, np.ndarray]:
    """Mean over runs of each key, at the updates where every run has all the keys.

    `rows` holds one list of rows per run. Returns arrays of equal length, "update" among them.
    """
    by_update = [{row["update"]: row for row in run if all(k in row for k in keys)} for run in rows]
    common = sorted(set.intersection(*(set(run) for run in by_update))) if by_update else []
    curve = {k: np.array([np.mean([run[u][k] for run in by_update]) for u in common]) for k in keys}
    return {**curve, "update": np.array(common, dtype=float)}


def smooth(values: Sequence[float] | np.ndarray) -> np.ndarray:
    """The nearest curve that never falls (isotonic regression, equal weights).

    A noisy curve first crosses a target too early, at one high mark. Here later, lower marks
    bring that mark down.
    """
    return np.asarray(IsotonicRegression().fit_transform(np.arange(len(values)), values))


def crossing(
    x: Sequence[float] | np.ndarray, y: Sequence[float] | np.ndarray, target: float
) -> float | None:
    """Where the straight lines between the points (rising y) first reach `target`, or None.

    Where the first point has reached `target`, the answer is its x.
    """
    there = np.flatnonzero(np.asarray(y) >= target - 1e-9)
    if not len(there):
        return None
    i = int(there[0])
    if i == 0:
        return float(x[0])
    return float(np.interp(target, [y[i - 1], y[i]], [x[i - 1], x[i]]))


@dataclass(frozen=True)
class Reach:
    """Cost of reaching the baseline's final BLEU, as ratios to the baseline's whole run."""

    target: float  # BLEU: the baseline's mean at its end
    tokens: float | None  # None: not reached
    wall: float | None  # None: not reached, or no comparable run
    seeds: int  # runs whose own curve reaches it
    best: float  # highest point of the mean curve, smoothed


def reach(cell: Cell, base: Cell) -> Reach:
    """Follow the cell's mean curve over marks up to the baseline's final BLEU.

    The curve is the mean over seeds, smoothed to be rising and straight between marks. The
    baseline's own ratio is below 1 where its curve is flat before its end.
    """
    target = float(np.mean([r.end["BLEU"] for r in base.records]))
    tokens = float(np.mean([r.train["tokens"] for r in base.records]))
    curve = mean_curve([r.marks for r in cell.records], ["tokens", "BLEU"])
    rising = smooth(curve["BLEU"]) if len(curve["BLEU"]) else np.zeros(0)
    at = crossing(curve["update"], rising, target)
    if at is None:
        used = wall = None
    else:
        used = float(np.interp(at, curve["update"], curve["tokens"])) / tokens
        ratios = [_wall_at(r, at) / _scale(r, base, "wall_s") for r in comparable(cell, base)]
        wall = float(np.mean(ratios)) if ratios else None
    own = [smooth([m["BLEU"] for m in r.marks])[-1] >= target - 1e-9 for r in cell.records]
    return Reach(target, used, wall, sum(own), float(rising[-1]) if len(rising) else 0.0)


def _wall_at(record: Record, update: float) -> float:
    """Seconds spent at an update between two marks, features included."""
    x, y = ([mark[key] for mark in record.marks] for key in ("update", "wall_s"))
    return record.features_s + float(np.interp(update, x, y))
