"""How rare the words of a corpus are: what makes a sentence hard (Platanios et al., NAACL 2019)."""

from __future__ import annotations

import numpy as np


def token_surprise(unigrams: np.ndarray) -> np.ndarray:
    """-ln p(w) of each token, p(w) being its share of all that are counted.

    Args:
        unigrams: int64 (source dimensions,), how often each token occurs.

    Returns:
        float64 (source dimensions,), nats; that of one occurrence for a token that has none.
    """
    return np.log(max(int(unigrams.sum()), 1)) - np.log(np.maximum(unigrams, 1))
