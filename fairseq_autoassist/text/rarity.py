"""Rarity of words, a measure of how hard a sentence is (Platanios et al., NAACL 2019)."""

from __future__ import annotations

import numpy as np


def token_surprise(unigrams: np.ndarray) -> np.ndarray:
    """Give -ln p(w) of each token, where p(w) is its share of all tokens.

    Args:
        unigrams: int64 (source dimensions,), how often each token occurs.

    Returns:
        float64 (source dimensions,), nats; a token that does not occur counts as occurring once.
    """
    return np.log(max(int(unigrams.sum()), 1)) - np.log(np.maximum(unigrams, 1))
