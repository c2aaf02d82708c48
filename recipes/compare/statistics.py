"""Means over seeds with their intervals, paired differences, ratios of cost, and crossings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, NamedTuple, Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from sklearn.isotonic import IsotonicRegression

from recipes.compare.records import Record, Values
from recipes.compare.sections import Cell

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


def difference(cell: Cell, other: Cell | None, key: str = "BLEU") -> Estimate | None:
    """Estimate of cell minus other at the end, paired by seed; None without a common seed."""
    others = {r.seed: r.end[key] for r in other.records} if other else {}
    return estimate([r.end[key] - others[r.seed] for r in cell.records if r.seed in others])


def ratio(cell: Cell, base: Cell, key: str) -> float:
    """Ratio of means of a count of the whole run (tokens, padded_tokens), on any device."""
    mine, theirs = ([r.train[key] for r in c.records] for c in (cell, base))
    return float(np.mean(mine) / np.mean(theirs))


def spent(record: Record, key: str) -> float:
    """A time of the whole run; wall time includes making the features that the run reads."""
    return record.train[key] + (record.features_s if key == "wall_s" else 0.0)


def _time_ratios(cell: Cell, base: Cell, key: str, time: Callable[[Record], float]) -> float | None:
    """Mean over runs of a time, each over that of the baseline's run of its condition and seed.

    Without that seed, over the mean of the baseline's runs under the condition; a run whose
    condition the baseline lacks is left out. None if all are.
    """
    ratios = []
    for record in cell.records:
        alike = [r for r in base.records if r.condition == record.condition]
        own = [r for r in alike if r.seed == record.seed] or alike
        if own:
            ratios.append(time(record) / np.mean([spent(r, key) for r in own]))
    return float(np.mean(ratios)) if ratios else None


def time_ratio(cell: Cell, base: Cell, key: str = "wall_s") -> float | None:
    """Ratio of a time of the whole run; None without a run under the baseline's conditions."""
    return _time_ratios(cell, base, key, lambda record: spent(record, key))


def mean_curve(rows: Sequence[Sequence[Values]], keys: Sequence[str]) -> dict[str, np.ndarray]:
    """Mean over runs of each key, at the updates where every run has all the keys.

    `rows` holds one list of rows per run. Returns arrays of equal length, "update" among them.
    """
    by_update = [{row["update"]: row for row in run if all(k in row for k in keys)} for run in rows]
    common = sorted(set.intersection(*(set(run) for run in by_update))) if by_update else []
    curve = {k: np.array([np.mean([run[u][k] for run in by_update]) for u in common]) for k in keys}
    return {**curve, "update": np.array(common, dtype=float)}


def smooth(values: ArrayLike) -> np.ndarray:
    """The nearest curve that never falls (isotonic regression, equal weights).

    A noisy curve first crosses a target too early, at one high mark. Here later, lower marks
    bring that mark down.
    """
    return np.asarray(IsotonicRegression().fit_transform(np.arange(np.size(values)), values))


def crossing(x: ArrayLike, y: ArrayLike, target: float) -> float | None:
    """Where the straight lines between the points (rising y) first reach `target`, or None.

    Where the first point has reached `target`, the answer is its x.
    """
    x, y = np.asarray(x), np.asarray(y)
    there = np.flatnonzero(y >= target - 1e-9)
    if not len(there):
        return None
    ends = slice(max(there[0] - 1, 0), there[0] + 1)
    return float(np.interp(target, y[ends], x[ends]))


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
        wall = _time_ratios(cell, base, "wall_s", lambda record: _wall_at(record, at))
    own = [smooth([m["BLEU"] for m in r.marks])[-1] >= target - 1e-9 for r in cell.records]
    return Reach(target, used, wall, sum(own), float(rising[-1]) if len(rising) else 0.0)


def _wall_at(record: Record, update: float) -> float:
    """Seconds spent at an update between two marks, features included."""
    x, y = ([mark[key] for mark in record.marks] for key in ("update", "wall_s"))
    return record.features_s + float(np.interp(update, x, y))
