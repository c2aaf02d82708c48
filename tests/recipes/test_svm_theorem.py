"""Theorem 1: slope and bound of E ||w_k - w*||^2, the property it assumes, and a control."""

from __future__ import annotations

import numpy as np
import pytest

from recipes.linear_svm import theorem
from recipes.linear_svm.theorem import SHARE, TOO_HIGH, Decay, centres, measure, slope


@pytest.fixture(scope="module")
def case() -> Decay:
    return measure()


def test_the_distance_falls_as_the_theorem_says(case: Decay) -> None:
    assert slope(case) <= -0.9
    assert np.all(case.squares.mean(axis=0) <= case.bound / case.steps)


def test_the_share_that_the_bound_assumes_is_kept_in_the_last_two_decades(case: Decay) -> None:
    late = case.steps >= case.steps[-1] / 100
    assert case.shares[:, late].min() >= SHARE
    assert case.shares[:, late].max() < 0.75  # some rows are skipped


def test_a_threshold_that_is_too_high_breaks_the_bound() -> None:
    control = measure(TOO_HIGH, seeds=20)
    assert slope(control) > -0.1
    assert control.squares.mean(axis=0)[-1] > control.bound / control.steps[-1]
    assert control.shares[:, -1].max() < SHARE


@pytest.mark.parametrize("threshold", [0.0, 0.8, 1.0, 1.4])
def test_the_property_holds_wherever_rows_are_kept(threshold: float) -> None:
    problem, rng = centres(), np.random.default_rng(0)
    for size in (1e-3, 0.1, 0.5):
        way = rng.normal(size=theorem.DIMENSIONS)
        w = problem.best + size * way / np.linalg.norm(way)
        gradients = w - problem.rows
        kept = np.linalg.norm(gradients, axis=1) >= threshold
        assert kept.any()
        product = np.mean(kept[:, None] * gradients, axis=0) @ (w - problem.best)
        assert product >= kept.mean() * size**2 * (1 - 1e-9)


def test_the_optimum_of_the_centres_is_their_mean() -> None:
    problem = centres()
    np.testing.assert_allclose(problem.rows.mean(axis=0), problem.best, atol=1e-12)
    assert np.linalg.norm(problem.best) < theorem.RADIUS
