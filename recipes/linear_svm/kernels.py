"""Inner loops of the solvers, compiled by numba, on one sparse, lazily scaled weight vector.

The weights are w = scale * v. The regulariser multiplies `scale` alone, so a step costs one row.
Every step is Pegasos's (Shalev-Shwartz et al. 2007): w <- (1 - 1/k) w + 1/(lambda k) a y_i x_i.
Then w is projected onto the ball of radius 1/sqrt(lambda). The solvers differ in i and in a.
"""

from __future__ import annotations

from typing import Tuple

import numpy as np
from numba import njit

from fairseq_autoassist.core import labels

Rows = Tuple[np.ndarray, ...]  # indptr, indices, data, y, norms

# indices of the state, float64 of shape (5,)
SCALE, SQUARED, THRESHOLD, STEP, UPDATES = range(5)
NONE, LOSS, GRADIENT = range(3)  # utilities; NONE is plain Pegasos
TINY = 1e-100  # below it the scale is multiplied into v
UNSET = -1.0  # T_k before the first utility; utilities are never negative

ema = njit(labels.ema)  # the core's own function, compiled


def new_state() -> np.ndarray:
    """State of w = 0 with no T_k and no step done: float64 (5,)."""
    return np.array([1.0, 0.0, UNSET, 0.0, 0.0])


@njit
def dot(rows: Rows, i: int, v: np.ndarray) -> float:
    """Product v . x_i."""
    indptr, indices, data = rows[0], rows[1], rows[2]
    total = 0.0
    for j in range(indptr[i], indptr[i + 1]):
        total += data[j] * v[indices[j]]
    return total


@njit
def advance_threshold(threshold: float, worth: float, decay: float) -> float:
    """T_k after one utility: `update_threshold` of the core for a report of one."""
    return worth if threshold == UNSET else ema(threshold, worth, decay)


@njit
def decay_weights(v: np.ndarray, state: np.ndarray) -> None:
    """Do the regulariser's part of step k: w <- (1 - 1/k) w."""
    state[STEP] += 1.0
    if state[STEP] > 1.0:  # at the first step w is 0
        state[SCALE] *= 1.0 - 1.0 / state[STEP]
    if state[SCALE] < TINY:
        v *= state[SCALE]
        state[SQUARED] *= state[SCALE] * state[SCALE]
        state[SCALE] = 1.0


@njit
def add_row(
    rows: Rows, i: int, product: float, weight: float, lam: float, v: np.ndarray, state: np.ndarray
) -> None:
    """Do w <- w + weight / (lambda k) y_i x_i, and project; `product` is v . x_i."""
    indptr, indices, data, y, norms = rows
    part = weight * y[i] / (lam * state[STEP] * state[SCALE])
    for j in range(indptr[i], indptr[i + 1]):
        v[indices[j]] += part * data[j]
    state[SQUARED] += part * (2.0 * product + part * norms[i] * norms[i])
    state[UPDATES] += 1.0
    norm = state[SCALE] * np.sqrt(max(state[SQUARED], 0.0))
    if norm * np.sqrt(lam) > 1.0:
        state[SCALE] /= norm * np.sqrt(lam)


@njit
def shrink(
    rows: Rows,
    v: np.ndarray,
    state: np.ndarray,
    draws: np.ndarray,
    lam: float,
    decay: float,
    factor: float,
    kind: int,
    whole: bool,
) -> None:
    """Do steps of Pegasos, and skip rows whose utility is below T_k (eq. 3) unless `kind` is NONE.

    Pegasos counts every draw as an update; shrinking counts the rows that it keeps. A skipped row
    still applies the regulariser's part of the step, which is one multiplication.

    Args:
        rows: `Problem.rows`
        v: unscaled weights, float64 (d,); changed
        state: see `new_state`; changed
        draws: uniform in [0, 1), shape (steps,)
        lam: lambda
        decay: decay of T_k's moving average, in [0, 1)
        factor: a row is kept at a utility of factor * T_k or more
        kind: NONE, LOSS (the hinge loss) or GRADIENT (the norm of its gradient)
        whole: skip the regulariser's part too, and do not count the step; the optimum is then that
            of lambda times the share of kept rows
    """
    y, norms = rows[3], rows[4]
    for draw in draws:
        i = int(draw * len(y))
        product = dot(rows, i, v)
        loss = max(0.0, 1.0 - y[i] * state[SCALE] * product)
        if kind == NONE:
            kept = True
        else:
            worth = loss if kind == LOSS else (norms[i] if loss > 0.0 else 0.0)
            kept = worth >= factor * state[THRESHOLD]
            state[THRESHOLD] = advance_threshold(state[THRESHOLD], worth, decay)
        if kept or not whole:
            decay_weights(v, state)
        if not kept:
            continue
        if loss > 0.0:
            add_row(rows, i, product, 1.0, lam, v, state)
        else:
            state[UPDATES] += 1.0


@njit
def sample_exactly(
    rows: Rows, v: np.ndarray, state: np.ndarray, draws: np.ndarray, lam: float
) -> None:
    """Do steps of importance sampling (Zhao & Zhang 2015): p_i ~ the norm of row i's gradient.

    All norms are computed again before each step, as in the paper, so a step reads the whole data.
    The arguments are those of `shrink`.
    """
    y, norms = rows[3], rows[4]
    n = len(y)
    products, sums = np.empty(n), np.empty(n)
    for draw in draws:
        total = 0.0
        for i in range(n):
            products[i] = dot(rows, i, v)
            if y[i] * state[SCALE] * products[i] < 1.0:
                total += norms[i]
            sums[i] = total
        decay_weights(v, state)
        if total == 0.0:
            state[UPDATES] += 1.0
            continue
        i = np.searchsorted(sums, draw * total, side="right")
        add_row(rows, i, products[i], total / (n * norms[i]), lam, v, state)
