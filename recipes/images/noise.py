"""Labels replaced at random: where skipping must pay."""

from __future__ import annotations

import numpy as np

from recipes.images.arrays import Images

SEED = 0  # of which labels are replaced by what; the same in every run, since the data are


def replaced(labels: np.ndarray, classes: int, share: float) -> np.ndarray:
    """Return labels of which a share is drawn anew from all classes.

    A label drawn anew may be the same again: with ten classes a tenth of them are.

    Args:
        labels: int64 (n,)
        share: in [0, 1], of labels drawn anew
    """
    rng = np.random.default_rng(SEED)
    chosen = rng.permutation(len(labels))[: round(share * len(labels))]
    found = labels.copy()
    found[chosen] = rng.integers(0, classes, len(chosen))
    return found


def add_noise(data: Images, share: float) -> None:
    """Replace a share of the labels that are trained on; those tested on stay."""
    data.labels = replaced(data.true_labels, data.classes, share)
