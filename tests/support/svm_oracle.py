"""Plain NumPy versions of the solvers, with dense unscaled weights, for the tests of the kernels.

Each takes the same draws as its kernel, and returns the state after every draw.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from fairseq_autoassist.core.labels import update_threshold
from recipes.linear_svm.kernels import GRADIENT, LOSS, NONE
from recipes.linear_svm.problem import Problem
from recipes.linear_svm.tree import UNIFORM


@dataclass
class Path:
    """States of a solver, one list entry for each draw."""

    weights: list[np.ndarray] = field(default_factory=list)  # each of shape (d,)
    thresholds: list[float | None] = field(default_factory=list)  # T_k after the draw
    chosen: list[int] = field(default_factory=list)  # id of the row drawn
    kept: list[bool] = field(default_factory=list)


def _step(
    problem: Problem, w: np.ndarray, k: int, weight: float, row: np.ndarray, y: float
) -> np.ndarray:
    """Do step k of Pegasos with the subgradient times `weight`, and project; return w (d,)."""
    eta = 1.0 / (problem.lam * k)
    w = w - eta * (problem.lam * w - weight * y * row)
    norm = math.sqrt(w @ w)
    radius = 1.0 / math.sqrt(problem.lam)
    return w * (radius / norm) if norm > radius else w


def shrink(
    problem: Problem,
    draws: np.ndarray,
    decay: float,
    factor: float,
    kind: int,
    whole: bool = False,
) -> Path:
    """Run Pegasos (`kind` NONE) or shrinking, with T_k from the core's `update_threshold`.

    The arguments are those of `kernels.shrink`.
    """
    x, y = problem.x.toarray(), problem.y
    w, k, threshold, path = np.zeros(x.shape[1]), 0, None, Path()
    for draw in draws:
        i = int(draw * len(y))
        loss = max(0.0, 1.0 - y[i] * (w @ x[i]))
        gradient = -y[i] * x[i] if loss > 0.0 else np.zeros_like(w)
        kept = True
        if kind != NONE:
            worth = {LOSS: loss, GRADIENT: float(np.linalg.norm(gradient))}[kind]
            kept = threshold is None or worth >= factor * threshold
            threshold = update_threshold(threshold, np.array([worth]), decay)
        if kept or not whole:
            k += 1
            w = _step(problem, w, k, float(kept and loss > 0.0), x[i], y[i])
        path.weights.append(w)
        path.thresholds.append(threshold)
        path.chosen.append(i)
        path.kept.append(kept)
    return path


def sample_exactly(problem: Problem, draws: np.ndarray) -> Path:
    """Run importance sampling with all norms computed again before each step."""
    x, y = problem.x.toarray(), problem.y
    w, path = np.zeros(x.shape[1]), Path()
    for k, draw in enumerate(draws, start=1):
        norms = np.where(y * (x @ w) < 1.0, np.linalg.norm(x, axis=1), 0.0)
        chances = norms / norms.sum()
        i = int(np.searchsorted(np.cumsum(chances), draw, side="right"))
        w = _step(problem, w, k, 1.0 / (len(y) * chances[i]), x[i], y[i])
        path.weights.append(w)
        path.chosen.append(i)
    return path


def sample_by_memory(problem: Problem, draws: np.ndarray) -> Path:
    """Run importance sampling with the norm of each row from its last draw."""
    x, y = problem.x.toarray(), problem.y
    n, norms = len(y), np.linalg.norm(x, axis=1)
    known, w, path = norms.copy(), np.zeros(x.shape[1]), Path()
    for k, draw in enumerate(draws, start=1):
        if draw < UNIFORM:
            i = int(draw / UNIFORM * n)
        else:
            mass = (draw - UNIFORM) / (1.0 - UNIFORM) * known.sum()
            i = int(np.searchsorted(np.cumsum(known), mass, side="right"))
        chance = UNIFORM / n + (1.0 - UNIFORM) * known[i] / known.sum()
        violated = y[i] * (w @ x[i]) < 1.0
        w = _step(problem, w, k, violated / (n * chance), x[i], y[i])
        known[i] = norms[i] if violated else 0.0
        path.weights.append(w)
        path.chosen.append(i)
    return path
