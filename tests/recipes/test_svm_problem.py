"""Objective, its optimum by liblinear, and the solvers that reach it or miss it."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.svm import LinearSVC

from preprocess.text import UserError
from recipes.linear_svm.problem import as_problem, objective, optimum
from recipes.linear_svm.solvers import BASELINE, SOLVERS, marks_of, run
from tests.support.svm import small


def test_the_objective_is_the_papers() -> None:
    problem = as_problem("two", [[1.0, 0.0], [0.0, 2.0]], np.array([1.0, -1.0]), 0.1)
    # The margins are 0.5 and -2, the losses 0.5 and 3: 0.05 * 1.25 + 3.5 / 2.
    assert objective(problem, np.array([0.5, 1.0])) == pytest.approx(0.0625 + 1.75)


def test_no_point_near_the_optimum_is_better() -> None:
    problem = small(unit=False)
    w, best = optimum(problem)
    rng = np.random.default_rng(0)
    for size in (1e-3, 1e-1):
        for _ in range(50):
            assert objective(problem, w + size * rng.normal(size=w.shape)) > best - 1e-7


@pytest.mark.parametrize(
    ("change", "intercept"), [(2.0, False), (0.5, False), (60.0, False), (1.0, True)]
)
def test_another_c_or_an_intercept_misses_the_optimum(change: float, intercept: bool) -> None:
    problem = small()
    _, best = optimum(problem)
    c = change / (problem.lam * len(problem.y))
    other = LinearSVC(loss="hinge", C=c, fit_intercept=intercept, tol=1e-6, max_iter=10**6)
    other.fit(problem.x, problem.y)
    assert objective(problem, other.coef_.ravel()) > best * 1.001


@pytest.mark.parametrize("name", ["pegasos", "gradient", "exact", "tree"])
def test_unbiased_solvers_reach_liblinears_optimum(name: str) -> None:
    problem = small()
    _, best = optimum(problem)
    curve = run(problem, best, name, seed=1, total=60_000, limit=60.0)
    assert -1e-5 < curve["gap"][-1] < 0.01
    assert curve["gap"][0] > 0.05
    assert len(curve["gap"]) == len(curve["updates"]) == len(curve["seconds"])
    assert curve["draws"] == marks_of(60_000)


@pytest.mark.parametrize("name", ["loss", "gradient-whole"])
def test_biased_solvers_miss_the_optimum(name: str) -> None:
    problem = small()
    _, best = optimum(problem)
    plain, biased = (
        run(problem, best, each, 1, 180_000, 60.0)["gap"][-1] for each in (BASELINE, name)
    )
    assert biased > 3 * abs(plain) > 0


def test_marks_grow_and_end_at_the_total() -> None:
    assert marks_of(20) == [10, 14, 19, 20]
    assert marks_of(10) == [10]


def test_a_run_ends_at_its_time_limit() -> None:
    problem = small()
    curve = run(problem, optimum(problem)[1], "exact", seed=1, total=60_000, limit=0.0)
    assert len(curve["gap"]) == 1


def test_shrinking_counts_fewer_updates_than_draws() -> None:
    problem = small()
    best = optimum(problem)[1]
    plain = run(problem, best, "pegasos", 1, 1200, 60.0)
    fewer = run(problem, best, "gradient", 1, 1200, 60.0)
    assert plain["updates"] == plain["draws"] == fewer["draws"]
    assert fewer["updates"][-1] < 0.9 * plain["updates"][-1]
    assert set(SOLVERS) >= {"loss", "loss-low", "gradient", "exact", "tree"}


def test_a_bad_lambda_and_bad_labels_are_refused() -> None:
    with pytest.raises(UserError, match="lambda is 0"):
        as_problem("x", np.eye(2), np.array([1.0, -1.0]), 0.0)
    with pytest.raises(UserError, match="expected -1 and \\+1"):
        as_problem("x", np.eye(2), np.array([1.0, 0.0]), 0.1)
