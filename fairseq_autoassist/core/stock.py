"""fairseq's own batches of an epoch: how pairs are sorted and cut, and how many there are."""

from __future__ import annotations

import numpy as np

from .batching import BatchLimits, pair_tokens

MOST_PAIRS = (
    100_000  # of a corpus that is sorted, in a tenth of a second; larger ones are estimated
)


def cut(tokens: np.ndarray, limits: BatchLimits) -> np.ndarray:
    """Where batches of pairs in this order end, as fairseq's batch_by_size cuts them.

    Args:
        tokens: length of each pair (the longer side), integers, shape (n,)
        limits: of a batch

    Returns:
        int64, ascending, the last one n; the pairs after the last but one may be fewer than
        ``limits.multiple``

    Raises:
        ValueError: a pair is longer than a batch may be
    """
    most = max(1, limits.of_length(1))
    ends, start = [0], 0
    while start < len(tokens):
        fits = limits.fitting(tokens[start : start + most])
        if fits == 0:
            raise ValueError(f"a pair of {tokens[start]} tokens exceeds {limits}")
        start += limits.rounded(fits)
        ends.append(start)
    return np.array(ends[1:], dtype=np.int64)


def fairseq_order(source_sizes: np.ndarray, target_sizes: np.ndarray) -> np.ndarray:
    """The order in which fairseq cuts pairs into batches: by source, then by target length."""
    return np.lexsort((target_sizes, source_sizes))


def fairseq_batches(source_sizes: np.ndarray, target_sizes: np.ndarray, limits: BatchLimits) -> int:
    """Batches of fairseq's own epoch, over all ranks; it leaves out what is less than a multiple
    at the end."""
    order = fairseq_order(source_sizes, target_sizes)
    tokens = pair_tokens(source_sizes, target_sizes)[order]
    sizes = np.diff(cut(tokens, limits), prepend=0)
    return max(1, len(sizes) - bool(sizes[-1] % limits.multiple))
