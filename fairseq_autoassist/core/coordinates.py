"""Random numbers by their coordinates: the seed, the pass, and the pair.

Pass p is a permutation keyed by (seed, p), and the coin of a pair is the number that a
counter-based generator (Philox) keyed by (seed, p) gives at the pair's own counter.
"""

from __future__ import annotations

import numpy as np

_ORDER, _COIN = 0, 1  # two streams of random numbers to a pass


def _generator(seed: int, pass_number: int, purpose: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=_key(seed, pass_number, purpose)))


def _key(seed: int, pass_number: int, purpose: int) -> np.ndarray:
    return np.array([seed % 2**64, 2 * pass_number + purpose], dtype=np.uint64)


def pass_order(seed: int, pass_number: int, pairs: int) -> np.ndarray:
    """The order of a pass: a permutation of ``range(pairs)``, int32 (int64 from 2**31 pairs)."""
    order = np.arange(pairs, dtype=np.int32 if pairs < 2**31 else np.int64)
    _generator(seed, pass_number, _ORDER).shuffle(order)
    return order


def pass_coins(seed: int, pass_number: int, pairs: int) -> np.ndarray:
    """The coins of a pass, float32 in [0, 1), shape (pairs,).

    Element i depends on (seed, pass, i) alone: it is the i-th output of a counter-based generator.
    """
    return _generator(seed, pass_number, _COIN).random(pairs, dtype=np.float32)


def batch_order(seed: int, pass_number: int, count: int) -> np.ndarray:
    """The order of a pass's batches: a permutation of ``range(count)``, int64."""
    bits = np.random.Philox(key=_key(seed, pass_number, _ORDER)).jumped()
    return np.random.Generator(bits).permutation(count)
