"""Random numbers by coordinates: the seed, the pass and the item.

Pass p is a permutation keyed by (seed, p). A counter-based generator (Philox), keyed by (seed, p)
too, gives the coin of an item at the item's own counter.
"""

from __future__ import annotations

import numpy as np

_ORDER, _COIN = 0, 1  # a pass has two streams of random numbers


def _generator(seed: int, pass_number: int, purpose: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=_key(seed, pass_number, purpose)))


def _key(seed: int, pass_number: int, purpose: int) -> np.ndarray:
    return np.array([seed % 2**64, 2 * pass_number + purpose], dtype=np.uint64)


def pass_order(seed: int, pass_number: int, count: int) -> np.ndarray:
    """Order of a pass: a permutation of ``range(count)``, int32 (int64 from 2**31 items)."""
    order = np.arange(count, dtype=np.int32 if count < 2**31 else np.int64)
    _generator(seed, pass_number, _ORDER).shuffle(order)
    return order


def pass_coins(seed: int, pass_number: int, count: int) -> np.ndarray:
    """Coins of a pass, float32 in [0, 1), shape (count,).

    Element i depends on (seed, pass, i) alone: it is the i-th output of a counter-based generator.
    """
    return _generator(seed, pass_number, _COIN).random(count, dtype=np.float32)


def batch_order(seed: int, pass_number: int, count: int) -> np.ndarray:
    """Order of a pass's batches: a permutation of ``range(count)``, int64."""
    bits = np.random.Philox(key=_key(seed, pass_number, _ORDER)).jumped()
    return np.random.Generator(bits).permutation(count)
