"""Replacement of labels at random, after which skipping should help."""

from __future__ import annotations

import numpy as np

from recipes.images.arrays import Images

SEED = 0  # seed of the replacement; the same in every run, so that the data are the same


def replaced(labels: np.ndarray, classes: int, share: float) -> np.ndarray:
    """Return labels, int64 (n,), of which a share is drawn again from all classes.

    A label that is drawn again may stay the same: with ten classes a tenth of them do.

    Args:
        labels: int64 (n,)
        classes: number of classes
        share: share of the labels to draw again, in [0, 1]
    """
    rng = np.random.default_rng(SEED)
    chosen = rng.permutation(len(labels))[: round(share * len(labels))]
    found = labels.copy()
    found[chosen] = rng.integers(0, classes, len(chosen))
    return found


def add_noise(data: Images, share: float) -> None:
    """Replace a share of the training labels; test labels stay."""
    data.labels = replaced(data.true_labels, data.classes, share)
