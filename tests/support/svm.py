"""Small linear SVM problems."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from recipes.linear_svm.problem import Problem, as_problem


def small(unit: bool = True, n: int = 60, d: int = 20, lam: float = 0.05, seed: int = 0) -> Problem:
    """Noisy labels of a random plane; a third of the values are not zero.

    Args:
        unit: rows of unit norm, else of norms that differ
    """
    rng = np.random.default_rng(seed)
    x = sparse.random(n, d, 0.3, random_state=seed, data_rvs=rng.standard_normal).toarray()
    x[:, 0] += 0.5  # no row is empty
    y = np.where(x @ rng.normal(size=d) + rng.normal(size=n) > 0, 1.0, -1.0)
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    x = x / norms if unit else x * rng.uniform(0.2, 2.0, (n, 1)) / norms
    return as_problem("small", x, y, lam)
