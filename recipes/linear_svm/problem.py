"""Linear SVM that all solvers minimise, and its optimum by liblinear.

F(w) = lambda / 2 ||w||^2 + 1/n sum_i max(0, 1 - y_i w.x_i) has no intercept and is lambda-strongly
convex. liblinear minimises 1/2 ||w||^2 + C sum_i max(0, ...): F / lambda at C = 1 / (lambda n).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

from preprocess.text import UserError

TOLERANCE = 1e-6  # of liblinear's stopping rule
ITERATIONS = 20_000  # of liblinear, passes over the data


@dataclass(frozen=True)
class Problem:
    """A data set with its lambda.

    Args:
        name: name on figures; it says if the data set is a stand-in
        x: CSR matrix, float64 values and int32 indices, shape (n, d)
        y: float64, shape (n,), each -1 or +1
        lam: lambda, above 0

    Raises:
        UserError: lambda is not above 0, or a label is neither -1 nor +1
    """

    name: str
    x: Any
    y: np.ndarray
    lam: float

    def __post_init__(self) -> None:
        if self.lam <= 0:
            raise UserError(f"lambda is {self.lam}; expected a number above 0")
        if set(np.unique(self.y)) - {-1.0, 1.0}:
            raise UserError(f"{self.name}: labels are {np.unique(self.y)[:5]}; expected -1 and +1")

    @property
    def rows(self) -> tuple[np.ndarray, ...]:
        """Arrays for the kernels: indptr, indices, data, y, and the norms ||x_i||.

        Indices are unsigned: numba then leaves out a slow check for negative ones.
        """
        x = self.x
        norms = np.sqrt(np.asarray(x.multiply(x).sum(axis=1)).ravel())
        return x.indptr.astype(np.uint32), x.indices.astype(np.uint32), x.data, self.y, norms


def as_problem(name: str, x: Any, y: np.ndarray, lam: float) -> Problem:
    """Make a problem of any sparse or dense matrix (n, d); stored zeros are removed."""
    matrix = sparse.csr_matrix(x, dtype=np.float64)
    matrix.eliminate_zeros()
    matrix.indptr, matrix.indices = matrix.indptr.astype(np.int32), matrix.indices.astype(np.int32)
    return Problem(name, matrix, np.asarray(y, dtype=np.float64), lam)


def objective(problem: Problem, w: np.ndarray) -> float:
    """Objective F(w) for weights of shape (d,)."""
    hinge = np.maximum(0.0, 1.0 - problem.y * (problem.x @ w))
    return float(0.5 * problem.lam * (w @ w) + hinge.mean())


def optimum(problem: Problem) -> tuple[np.ndarray, float]:
    """Find w*, shape (d,), and F(w*) by LinearSVC's dual coordinate descent.

    Raises:
        UserError: liblinear did not converge
    """
    n = len(problem.y)
    machine = LinearSVC(
        loss="hinge",
        C=1.0 / (problem.lam * n),
        fit_intercept=False,
        tol=TOLERANCE,
        max_iter=ITERATIONS,
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            machine.fit(problem.x, problem.y)
        except ConvergenceWarning as error:
            raise UserError(
                f"{problem.name}: liblinear did not converge in {ITERATIONS} passes; "
                f"take a larger lambda than {problem.lam}"
            ) from error
    w = machine.coef_.ravel()
    return w, objective(problem, w)
