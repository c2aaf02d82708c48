"""Theorem 1 by experiment: with the gradient norm as utility, E ||w_k - w*||^2 <= L / k.

The problem: f_i(w) = 1/2 ||w - a_i||^2. The a_i come in pairs w* + v and w* - v: w* is their mean.
It is 1-strongly convex, and the gradient w - a_i does not vanish at w*.

The wording of the property is ours; the one in the paper was not at hand to compare.

The property: <w - w*, E[z_i grad f_i(w)]> >= c ||w - w*||^2 with z_i = 1[||grad f_i(w)|| >= T_k].
It holds with c the share of rows that are kept. Let d = w - w*. Of a pair, both kept give
2 ||d||^2. If one is kept, it is the farther one, which gives ||d||^2 + |<d, v>|.

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
RADIUS = 1.0  # of the ball that holds w; w* is in it
SHARE = 0.25  # c: c: least share of the rows that is kept
TOO_HIGH = 2.0  # times T_k: more than any row's utility near w*
STEPS = 100_000
SEEDS = 200
MARKS = 41  # ten a decade from 10 to STEPS


class Centres(NamedTuple):
    """The rows a_i, shape (2 PAIRS, DIMENSIONS), and w*, shape (DIMENSIONS,)."""

    rows: np.ndarray
    best: np.ndarray


class Decay(NamedTuple):
    """Measured ||w_k - w*||^2 and share kept, each of shape (seeds, marks)."""

    steps: np.ndarray  # k, shape (marks,)
    squares: np.ndarray
    shares: np.ndarray  # of all rows, at T_k and w_k of the mark
    bound: float  # L

    def as_record(self) -> dict[str, object]:
        """Means over seeds, for a line of JSON."""
        means, shares = self.squares.mean(axis=0), self.shares.min(axis=0)
        return {
            "steps": self.steps.tolist(),
            "squares": [float(f"{value:.4g}") for value in means],
            "shares": shares.tolist(),  # the smallest over seeds
            "bound": self.bound,
        }


def centres(seed: int = 0) -> Centres:
    """Draw the problem."""
    rng = np.random.default_rng(seed)
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
    """Do steps begin + 1, ..., begin + len(draws) in place; return T_k.

    Every draw is a step; a row below factor * T_k is skipped and leaves w as it is.
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
        factor: times T_k; 1 is the theorem's case, TOO_HIGH the control
        decay: of T_k's moving average
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
    """The slope of log E ||w_k - w*||^2 over log k in the last decade of k."""
    late = decay.steps >= decay.steps[-1] / 10
    means = decay.squares.mean(axis=0)[late]
    return float(np.polyfit(np.log(decay.steps[late]), np.log(means), 1)[0])


def cases() -> dict[str, Decay]:
    """The theorem's case and its negative control."""
    return {"T_k": measure(), f"{TOO_HIGH:g} T_k": measure(TOO_HIGH)}
