"""Theorem 1 by experiment: with the gradient norm as utility, E ||w_k - w*||^2 <= L / k.

The problem has f_i(w) = 1/2 ||w - a_i||^2. The a_i are pairs w* + v and w* - v, whose mean is w*.
The problem is 1-strongly convex, and the gradient w - a_i does not vanish at w*.

The property is <w - w*, E[z_i grad f_i(w)]> >= c ||w - w*||^2 with
z_i = 1[||grad f_i(w)|| >= T_k]. This wording is ours; it was not compared with the paper's. The
property holds with c the share of rows that are kept. Proof: let d = w - w*. If both rows of a
pair are kept, they contribute 2 ||d||^2. If one is kept, it is the farther one, and contributes
||d||^2 + |<d, v>|.

The bound: with steps 1 / (c k) and kept gradients of norm G at most, a_k = E ||w_k - w*||^2 obeys
a_{k+1} <= (1 - 2/k) a_k + G^2 / (c k)^2. So a_k <= L / k with L = max(a_1, G^2 / c^2), as in
Nemirovski et al. 2009, eq. 2.9. A ball around 0 of radius RADIUS keeps G finite.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from recipes.linear_svm.kernels import UNSET, advance_threshold
from recipes.linear_svm.solvers import DECAY

DIMENSIONS = 10
PAIRS = 500
NEAR, FAR = 0.5, 1.5  # distances of a_i from w*
RADIUS = 1.0  # radius of the ball that holds w; w* is in it
SHARE = 0.25  # c: least share of the rows that is kept
TOO_HIGH = 2.0  # factor on T_k, above any row's utility near w*
STEPS = 100_000
SEEDS = 200
MARKS = 41  # ten in each decade from 10 to STEPS


class Centres(NamedTuple):
    """Rows a_i, shape (2 PAIRS, DIMENSIONS), and w*, shape (DIMENSIONS,)."""

    rows: np.ndarray
    best: np.ndarray


class Decay(NamedTuple):
    """Measured ||w_k - w*||^2 and share kept, each of shape (seeds, marks)."""

    steps: np.ndarray  # k, shape (marks,)
    squares: np.ndarray
    shares: np.ndarray  # share of all rows that T_k and w_k of the mark would keep
    bound: float  # L

    def as_record(self) -> dict[str, object]:
        """Means over seeds, and the smallest share over seeds, for a line of JSON."""
        means, shares = self.squares.mean(axis=0), self.shares.min(axis=0)
        return {
            "steps": self.steps.tolist(),
            "squares": [float(f"{value:.4g}") for value in means],
            "shares": shares.tolist(),
            "bound": self.bound,
        }


def centres() -> Centres:
    """Draw the rows of the problem, the same in every call."""
    rng = np.random.default_rng(0)
    best = np.full(DIMENSIONS, 0.5 * RADIUS / np.sqrt(DIMENSIONS))
    ways = rng.normal(size=(PAIRS, DIMENSIONS))
    ways *= rng.uniform(NEAR, FAR, (PAIRS, 1)) / np.linalg.norm(ways, axis=1, keepdims=True)
    return Centres(np.concatenate([best + ways, best - ways]), best)


@njit
def descend(
    rows: np.ndarray,
    w: np.ndarray,
    threshold: float,
    begin: int,
    draws: np.ndarray,
    decay: float,
    factor: float,
) -> float:
    """Do steps begin + 1, ..., begin + len(draws) on w in place, and return T_k.

    Every draw is a step; a row whose utility is below factor * T_k is skipped.

    Args:
        rows: a_i, float64 (n, d)
        w: float64 (d,); changed
        threshold: T_k before the steps; UNSET at the first
        begin: number of steps done before
        draws: uniform in [0, 1), shape (steps,)
        decay: decay of T_k's moving average, in [0, 1)
        factor: factor on T_k
    """
    for t in range(len(draws)):
        a = rows[int(draws[t] * len(rows))]
        squared = 0.0
        for j in range(len(w)):
            squared += (w[j] - a[j]) ** 2
        norm = np.sqrt(squared)
        kept = norm >= factor * threshold
        threshold = advance_threshold(threshold, norm, decay)
        if kept:
            size, length = 1.0 / (SHARE * (begin + t + 1)), 0.0
            for j in range(len(w)):
                w[j] -= size * (w[j] - a[j])
                length += w[j] * w[j]
            if length > RADIUS * RADIUS:
                w *= RADIUS / np.sqrt(length)
    return threshold


def measure(factor: float = 1.0, decay: float = DECAY, seeds: int = SEEDS) -> Decay:
    """Run SGD with shrinking from every seed.

    Args:
        factor: factor on T_k; 1 is the theorem's case, TOO_HIGH the control
        decay: decay of T_k's moving average
        seeds: number of seeds
    """
    problem = centres()
    marks = np.unique(np.geomspace(10, STEPS, MARKS).astype(int))
    squares, shares = np.empty((seeds, len(marks))), np.empty((seeds, len(marks)))
    start = -problem.best  # in the ball, ||w_1 - w*|| = RADIUS
    for seed in range(seeds):
        rng = np.random.default_rng([seed, 1])
        w, threshold, done = start.copy(), UNSET, 0
        for j, mark in enumerate(marks):
            draws = rng.random(mark - done)
            threshold = descend(problem.rows, w, threshold, done, draws, decay, factor)
            done = int(mark)
            squares[seed, j] = np.sum((w - problem.best) ** 2)
            norms = np.linalg.norm(w - problem.rows, axis=1)
            shares[seed, j] = np.mean(norms >= factor * threshold)
    largest = RADIUS + np.linalg.norm(problem.rows, axis=1).max()  # G
    first = float(np.sum((start - problem.best) ** 2))
    return Decay(marks, squares, shares, max(first, (largest / SHARE) ** 2))


def slope(decay: Decay) -> float:
    """Slope of log E ||w_k - w*||^2 over log k in the last decade of k."""
    late = decay.steps >= decay.steps[-1] / 10
    means = decay.squares.mean(axis=0)[late]
    return float(np.polyfit(np.log(decay.steps[late]), np.log(means), 1)[0])


def cases() -> dict[str, Decay]:
    """Measure the theorem's case and its negative control: threshold -> measurements."""
    return {"T_k": measure(), f"{TOO_HIGH:g} T_k": measure(TOO_HIGH)}
