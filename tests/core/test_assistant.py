"""Assistant: compared with a plain oracle of eq. (5), finite differences and scikit-learn."""

import math

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression

from fairseq_autoassist.core.assistant import Assistant
from fairseq_autoassist.features.rows import CsrRows
from tests.support.planning import MemoryFeatures

DIMENSIONS = 12


def make_rows(count, seed=0, dimensions=DIMENSIONS):
    rng = np.random.default_rng(seed)
    dense = rng.random((count, dimensions)) * (rng.random((count, dimensions)) < 0.4)
    dense[:, 0] += 0.1  # no empty rows
    return sp.csr_array(dense.astype(np.float32))


def plain_step(phi, rows, labels, eta, decay):
    """Weights after one update of eq. (5), computed one number at a time."""
    gradient = [0.0] * len(phi)
    for psi, z in zip(rows, labels):
        g = 1.0 / (1.0 + math.exp(-sum(p * x for p, x in zip(phi, psi))))
        for j, x in enumerate(psi):
            gradient[j] += (g - z) * x / len(rows)
    return [(1.0 - decay) * p - eta * d for p, d in zip(phi, gradient)]


def learn(assistant, rows, labels):
    features = CsrRows(rows)
    assistant.learn(features, labels, assistant.predict_rows(features, np.arange(len(labels))))


# 300 updates: without folding the scale back, eta / 0.5 ** 300 would be infinite in float32
@pytest.mark.parametrize("decay, steps", [(0.0, 60), (0.01, 60), (0.4, 60), (0.5, 300)])
def test_equals_the_plain_oracle(decay, steps):
    assistant, phi = Assistant(DIMENSIONS, 0.7, decay), [0.0] * DIMENSIONS
    for step in range(steps):
        rows = make_rows(5, seed=step)
        labels = np.random.default_rng(step).random(5) < 0.5
        learn(assistant, rows, labels)
        phi = plain_step(phi, rows.toarray().tolist(), labels.tolist(), 0.7, decay)
    np.testing.assert_allclose(assistant.weights, phi, rtol=2e-4, atol=1e-6)


def test_a_feature_that_occurs_in_many_pairs_gets_the_sum_of_their_gradients():
    rows = sp.csr_array(np.ones((4, 1), dtype=np.float32))
    assistant = Assistant(1, 1.0, 0.0)
    learn(assistant, rows, np.ones(4, dtype=bool))
    assert assistant.weights[0] == pytest.approx(0.5)  # mean of four times (1 - 1/2)


def test_the_step_is_the_gradient_by_finite_differences():
    rows, labels = make_rows(6), np.array([1, 0, 1, 1, 0, 0], dtype=bool)
    start = np.random.default_rng(1).normal(size=DIMENSIONS)

    def loss(phi):
        g = 1 / (1 + np.exp(-(rows.astype(np.float64) @ phi)))
        return -np.mean(np.where(labels, np.log(g), np.log(1 - g)))

    numeric = [
        (loss(start + 1e-5 * unit) - loss(start - 1e-5 * unit)) / 2e-5
        for unit in np.eye(DIMENSIONS)
    ]
    assistant = Assistant(DIMENSIONS, 1.0, 0.0)
    assistant.load_state_dict({"direction": start, "scale": 1.0})
    before = assistant.weights
    learn(assistant, rows, labels)
    np.testing.assert_allclose(before - assistant.weights, numeric, atol=2e-6)


def test_lazy_decay_equals_eager_decay():
    lazy, eager = Assistant(DIMENSIONS, 0.5, 0.05), np.zeros(DIMENSIONS)
    for step in range(200):
        rows, labels = make_rows(3, seed=step), np.array([True, False, True])
        g = 1 / (1 + np.exp(-(rows @ eager)))
        eager = 0.95 * eager - 0.5 * (rows.T @ (g - labels)) / 3
        learn(lazy, rows, labels)
    np.testing.assert_allclose(lazy.weights, eager, rtol=1e-3, atol=1e-5)


def test_converges_to_scikit_learns_logistic_regression():
    rows = make_rows(200)
    truth = np.random.default_rng(5).normal(size=DIMENSIONS) * 4
    labels = rows @ truth > 0.3
    eta, decay = 0.5, 0.001
    assistant = Assistant(DIMENSIONS, eta, decay)
    for _ in range(8000):
        learn(assistant, rows, labels)
    # the fixed point of eq. (5) minimises mean CE + lambda / (2 eta) |phi|^2
    reference = LogisticRegression(C=eta / decay / 200, fit_intercept=False, tol=1e-8)
    reference.fit(rows.toarray().astype(np.float64), labels)
    np.testing.assert_allclose(assistant.weights, reference.coef_[0], rtol=2e-2, atol=2e-2)


def test_prediction_by_id_is_prediction_by_row():
    rows = make_rows(20)
    assistant = Assistant(DIMENSIONS, 3.0, 0.1)
    learn(assistant, rows, np.arange(20) % 2 == 0)
    ids = np.array([7, 3, 3, 19])
    every = assistant.predict_rows(CsrRows(rows), np.arange(20))
    np.testing.assert_array_equal(assistant.predict(MemoryFeatures(rows), ids), every[ids])


def test_a_resumed_assistant_learns_the_same_and_other_dimensions_are_refused():
    first, second = (Assistant(DIMENSIONS, 0.5, 0.01) for _ in range(2))
    labels = np.array([True, False, False])
    learn(first, make_rows(3), labels)
    second.load_state_dict(first.state_dict())
    learn(first, make_rows(3, seed=9), labels)
    assert not np.array_equal(first.weights, second.weights)  # negative control
    learn(second, make_rows(3, seed=9), labels)
    np.testing.assert_array_equal(first.weights, second.weights)
    with pytest.raises(ValueError, match="12 features, the data has 13"):
        Assistant(13, 0.5, 0.01).load_state_dict(first.state_dict())
