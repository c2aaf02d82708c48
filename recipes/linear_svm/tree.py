"""Importance sampling with a tree of last known gradient norms: a step costs one row + O(log n)."""

from __future__ import annotations

import numpy as np
from numba import njit

from recipes.linear_svm.kernels import SCALE, UPDATES, Rows, add_row, decay_weights, dot

UNIFORM = 0.5  # share of the probability that is uniform, so that no weight is above 2


def new_tree(norms: np.ndarray) -> np.ndarray:
    """Make a tree of sums of norms (n,): shape (2 m,), m the next power of two, leaf i at m + i."""
    leaves = 1 << max(len(norms) - 1, 0).bit_length()
    tree = np.zeros(2 * leaves)
    tree[leaves : leaves + len(norms)] = norms
    for node in range(leaves - 1, 0, -1):
        tree[node] = tree[2 * node] + tree[2 * node + 1]
    return tree


@njit
def put(tree: np.ndarray, i: int, value: float) -> None:
    """Set leaf i and the sums above it."""
    node = len(tree) // 2 + i
    tree[node] = value
    node //= 2
    while node >= 1:
        tree[node] = tree[2 * node] + tree[2 * node + 1]
        node //= 2


@njit
def find(tree: np.ndarray, mass: float) -> int:
    """Return the number of the leaf into which a mass in [0, tree[1]) falls."""
    node, leaves = 1, len(tree) // 2
    while node < leaves:
        node *= 2
        if mass >= tree[node] and tree[node + 1] > 0.0:
            mass -= tree[node]
            node += 1
    return node - leaves


@njit
def sample_by_tree(
    rows: Rows,
    v: np.ndarray,
    state: np.ndarray,
    draws: np.ndarray,
    lam: float,
    tree: np.ndarray,
) -> None:
    """Do steps with p_i = (1 - UNIFORM) tree_i / sum + UNIFORM / n, and update the drawn norms.

    The other arguments are those of `kernels.shrink`.

    Args:
        draws: uniform in [0, 1), shape (steps,)
        tree: tree of last known norms of the gradients; changed
    """
    y, norms = rows[3], rows[4]
    n = len(y)
    for draw in draws:
        if draw < UNIFORM or tree[1] <= 0.0:
            i = min(int(draw / UNIFORM * n), n - 1) if draw < UNIFORM else int(draw * n)
        else:
            i = find(tree, (draw - UNIFORM) / (1.0 - UNIFORM) * tree[1])
        known = tree[len(tree) // 2 + i]
        chance = UNIFORM / n + ((1.0 - UNIFORM) * known / tree[1] if tree[1] > 0.0 else UNIFORM / n)
        product = dot(rows, i, v)
        violated = y[i] * state[SCALE] * product < 1.0
        decay_weights(v, state)
        if violated:
            add_row(rows, i, product, 1.0 / (n * chance), lam, v, state)
        else:
            state[UPDATES] += 1.0
        put(tree, i, norms[i] if violated else 0.0)
