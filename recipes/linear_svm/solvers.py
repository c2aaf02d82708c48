"""Solvers by name, and a run of a solver that measures the gap at marks."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Callable

import numpy as np

from recipes.common.looks import LOOKS, Look
from recipes.linear_svm import kernels, tree
from recipes.linear_svm.problem import Problem, objective

DECAY = 0.99  # decay of T_k per row; the core's default is per report of many pairs
FIRST = 10  # draws up to the first mark
GROWTH = 1.4  # ratio of the draws of two successive marks

Advance = Callable[[np.ndarray, np.ndarray, np.ndarray], None]  # v, state, draws: more steps


@dataclass(frozen=True)
class Solver:
    """A solver.

    Attributes:
        title: name on figures and in tables
        look: colour and marker on figures
        make: makes the function that does steps on a problem
        whole_pass: whether a step reads the whole data
    """

    title: str
    look: Look
    make: Callable[[Problem], Advance]
    whole_pass: bool = False


def _shrinking(kind: int, factor: float = 1.0, whole: bool = False) -> Callable[[Problem], Advance]:
    def make(problem: Problem) -> Advance:
        rows, lam = problem.rows, problem.lam

        def advance(v: np.ndarray, state: np.ndarray, draws: np.ndarray) -> None:
            kernels.shrink(rows, v, state, draws, lam, DECAY, factor, kind, whole)

        return advance

    return make


def _exact(problem: Problem) -> Advance:
    rows = problem.rows

    def advance(v: np.ndarray, state: np.ndarray, draws: np.ndarray) -> None:
        kernels.sample_exactly(rows, v, state, draws, problem.lam)

    return advance


def _by_tree(problem: Problem) -> Advance:
    rows = problem.rows
    known = tree.new_tree(rows[4])

    def advance(v: np.ndarray, state: np.ndarray, draws: np.ndarray) -> None:
        tree.sample_by_tree(rows, v, state, draws, problem.lam, known)

    return advance


BASELINE = "pegasos"
SOLVERS = {
    BASELINE: Solver("Pegasos", LOOKS["uniform"], _shrinking(kernels.NONE)),
    "loss": Solver("shrinking by loss", LOOKS["loss"], _shrinking(kernels.LOSS)),
    "loss-low": Solver("shrinking by loss, T/4", LOOKS["loss-low"], _shrinking(kernels.LOSS, 0.25)),
    "gradient": Solver("shrinking by gradient", LOOKS["gradient"], _shrinking(kernels.GRADIENT)),
    "gradient-whole": Solver(
        "the same, regulariser skipped too",
        LOOKS["gradient-whole"],
        _shrinking(kernels.GRADIENT, whole=True),
    ),
    "exact": Solver("importance, exact", LOOKS["exact"], _exact, whole_pass=True),
    "tree": Solver("importance, tree", LOOKS["tree"], _by_tree),
}


def marks_of(total: int) -> list[int]:
    """Numbers of draws at the marks of a run: they grow by GROWTH, and the last is `total`."""
    found = [FIRST]
    while found[-1] * GROWTH < total:
        found.append(int(found[-1] * GROWTH))
    return found if found[-1] >= total else [*found, total]


def warm_up(problem: Problem, names: list[str]) -> None:
    """Compile the kernels, so that compiling is in no measured time."""
    for name in names:
        draws = np.array([0.1, 0.9])
        SOLVERS[name].make(problem)(np.zeros(problem.x.shape[1]), kernels.new_state(), draws)


def run(
    problem: Problem, best: float, name: str, seed: int, total: int, limit: float
) -> dict[str, Any]:
    """Run a solver from w = 0 and return its curve.

    Args:
        problem: data and lambda
        best: F(w*)
        name: a key of `SOLVERS`
        seed: seed of the draws
        total: number of draws
        limit: CPU seconds after which the run ends at its next mark

    Returns:
        lists of draws, updates, seconds (CPU seconds of the solver alone) and gap,
        (F(w) - F(w*)) / F(w*), one entry for each mark
    """
    rng = np.random.default_rng([seed, 25])
    advance = SOLVERS[name].make(problem)
    v, state = np.zeros(problem.x.shape[1]), kernels.new_state()
    done, spent = 0, 0.0
    curve: dict[str, list[float]] = {"draws": [], "updates": [], "seconds": [], "gap": []}
    for mark in marks_of(total):
        draws = rng.random(mark - done)
        begun = time.process_time()
        advance(v, state, draws)
        spent += time.process_time() - begun
        done = mark
        value = objective(problem, state[kernels.SCALE] * v)
        curve["draws"].append(done)
        curve["updates"].append(int(state[kernels.UPDATES]))
        curve["seconds"].append(float(f"{spent:.4g}"))
        curve["gap"].append(float(f"{(value - best) / best:.4g}"))
        if spent > limit:
            break
    return {"solver": name, "seed": seed, **curve}
