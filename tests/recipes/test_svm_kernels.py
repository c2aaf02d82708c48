"""Compiled solvers against plain NumPy, step by step, and T_k against the core."""

from __future__ import annotations

from typing import Callable

import numpy as np
import pytest

from fairseq_autoassist.core.labels import update_threshold
from recipes.linear_svm import kernels, tree
from recipes.linear_svm.kernels import (
    GRADIENT,
    LOSS,
    NONE,
    SCALE,
    SQUARED,
    STEP,
    THRESHOLD,
    UPDATES,
)
from recipes.linear_svm.problem import Problem
from tests.support import svm_oracle
from tests.support.svm import small

DRAWS = np.random.default_rng(1).random(150)
DECAY = 0.9


def walk(
    problem: Problem, advance: Callable[[np.ndarray, np.ndarray, np.ndarray], None]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weights and state after each draw."""
    v, state, found = np.zeros(problem.x.shape[1]), kernels.new_state(), []
    for draw in DRAWS:
        advance(v, state, np.array([draw]))
        found.append((state[SCALE] * v, state.copy()))
    return found


@pytest.mark.parametrize("unit", [True, False])
@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(
    ("kind", "factor"), [(NONE, 1.0), (LOSS, 1.0), (LOSS, 0.25), (GRADIENT, 1.0)]
)
def test_shrinking_equals_the_oracle(kind: int, factor: float, whole: bool, unit: bool) -> None:
    problem = small(unit)
    if unit and kind == GRADIENT:
        factor = 0.9  # at 1, rounding of the norms would decide
    rows, lam = problem.rows, problem.lam
    found = walk(
        problem,
        lambda v, state, draws: kernels.shrink(
            rows, v, state, draws, lam, DECAY, factor, kind, whole
        ),
    )
    path = svm_oracle.shrink(problem, DRAWS, DECAY, factor, kind, whole)
    if kind != NONE:
        assert 0 < sum(path.kept) < len(path.kept)
    for step, (w, state) in enumerate(found):
        np.testing.assert_allclose(w, path.weights[step], rtol=1e-9, atol=1e-11)
        assert state[UPDATES] == sum(path.kept[: step + 1])
        threshold = path.thresholds[step]
        if threshold is not None:
            assert state[THRESHOLD] == pytest.approx(threshold, rel=1e-9)
    assert found[-1][1][STEP] == (sum(path.kept) if whole else len(DRAWS))


@pytest.mark.parametrize("unit", [True, False])
def test_exact_importance_sampling_equals_the_oracle(unit: bool) -> None:
    problem = small(unit)
    rows, lam = problem.rows, problem.lam
    found = walk(problem, lambda v, s, draws: kernels.sample_exactly(rows, v, s, draws, lam))
    path = svm_oracle.sample_exactly(problem, DRAWS)
    assert len(set(path.chosen)) > 10
    for (w, _), wanted in zip(found, path.weights):
        np.testing.assert_allclose(w, wanted, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("unit", [True, False])
def test_sampling_by_the_tree_equals_the_oracle(unit: bool) -> None:
    problem = small(unit)
    rows, lam = problem.rows, problem.lam
    known = tree.new_tree(rows[4])
    found = walk(problem, lambda v, s, draws: tree.sample_by_tree(rows, v, s, draws, lam, known))
    path = svm_oracle.sample_by_memory(problem, DRAWS)
    for (w, _), wanted in zip(found, path.weights):
        np.testing.assert_allclose(w, wanted, rtol=1e-9, atol=1e-11)


def test_the_tree_finds_every_leaf_and_no_other() -> None:
    values = np.array([1.0, 0.0, 2.0, 0.5, 0.0])
    known = tree.new_tree(values)
    masses = np.linspace(0.0, 3.499, 200)
    wanted = np.searchsorted(np.cumsum(values), masses, side="right")
    assert [tree.find(known, mass) for mass in masses] == list(wanted)
    tree.put(known, 1, 4.0)
    assert known[1] == 7.5
    assert tree.find(known, 1.5) == 1


def test_the_threshold_equals_the_cores_bit_for_bit() -> None:
    values = np.random.default_rng(0).gamma(1.0, size=2000)
    ours, cores = kernels.UNSET, None
    for value in values:
        ours = kernels.advance_threshold(ours, value, 0.99)
        cores = update_threshold(cores, np.array([value]), 0.99)
        assert ours == cores


def test_a_tiny_scale_is_reset_without_changing_the_weights() -> None:
    problem = small()
    rows, lam = problem.rows, problem.lam
    v, state = np.zeros(problem.x.shape[1]), kernels.new_state()
    kernels.shrink(rows, v, state, DRAWS, lam, DECAY, 1.0, NONE, False)
    tiny, other = v / 1e-101, state.copy()
    other[SCALE] *= 1e-101
    other[SQUARED] /= 1e-101**2
    for values, kept in ((v, state), (tiny, other)):
        kernels.shrink(rows, values, kept, DRAWS, lam, DECAY, 1.0, NONE, False)
    assert other[SCALE] > 1e-10
    np.testing.assert_allclose(other[SCALE] * tiny, state[SCALE] * v, rtol=1e-9, atol=1e-12)


def test_shrinking_by_gradient_on_unit_rows_equals_pegasos_with_fewer_updates() -> None:
    problem = small()
    plain = svm_oracle.shrink(problem, DRAWS, DECAY, 1.0, NONE)
    found = svm_oracle.shrink(problem, DRAWS, DECAY, 0.99, GRADIENT)  # at 1, rounding would decide
    np.testing.assert_allclose(found.weights[-1], plain.weights[-1])
    assert sum(found.kept) < 0.9 * len(DRAWS)
