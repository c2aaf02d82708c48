"""Generated data of the size and shape of WMT14 English-German, and features without a disk.

Lengths are log-normal with the means of WMT14 in joint pieces. Pieces follow Zipf's law, each drawn
independently, so a sentence repeats somewhat fewer pieces than a real one.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import scipy.sparse as sp

from fairseq_autoassist.features.rows import CsrRows
from tests.support.corpus import write_side

VOCABULARY = 32_000  # joint pieces, without fairseq's four special symbols
SPECIAL, EOS = 4, 2
LANGUAGES = ("en", "de")
_MEAN_SOURCE, _MEAN_TARGET = 29.0, 30.0  # pieces a sentence, EOS included
_SPREAD = 0.55  # of the logarithm of the source length
_RATIO_SPREAD = 0.2  # of the logarithm of target length / source length
_LONGEST = 250
_TABLE_BITS = 22  # entries of the table that pieces are drawn from, all equally likely
_ROW_BITS, _NONZEROS = 16, 48  # of the table of features: log2 of its rows, and of a row
_DRAWN = 1 << 22  # tokens drawn at once


def lengths(pairs: int) -> tuple[np.ndarray, np.ndarray]:
    """Source and target lengths in pieces with EOS: int32, shape (pairs,), 2 to 250."""
    rng = np.random.default_rng([0, 0])
    source = _SPREAD * rng.standard_normal(pairs, dtype=np.float32)
    target = source + _RATIO_SPREAD * rng.standard_normal(pairs, dtype=np.float32)
    spreads = (_SPREAD, np.hypot(_SPREAD, _RATIO_SPREAD))
    sides = []
    for logarithm, mean, spread in zip((source, target), (_MEAN_SOURCE, _MEAN_TARGET), spreads):
        # the mean of a log-normal number is exp(mu + sigma^2 / 2)
        pieces = np.exp(logarithm + np.float32(np.log(mean - 1) - spread**2 / 2))
        sides.append(np.clip(np.rint(pieces), 1, _LONGEST - 1).astype(np.int32) + 1)
    return sides[0], sides[1]


def piece_table() -> np.ndarray:
    """Ids of pieces, as frequent as Zipf's law says: uint16, shape (2 ** 22,)."""
    mass = np.cumsum(1.0 / np.arange(1, VOCABULARY + 1))
    drawn = (np.arange(1 << _TABLE_BITS) + 0.5) / (1 << _TABLE_BITS)
    return (np.searchsorted(mass, drawn * mass[-1]) + SPECIAL).astype(np.uint16)


def write_corpus(folder: Path, pairs: int) -> None:
    """Write a data-bin of ``pairs`` pairs in fairseq-preprocess's format, with dictionaries."""
    folder.mkdir(parents=True, exist_ok=True)
    words = "".join(f"piece{i} {VOCABULARY // (i + 1) + 1}\n" for i in range(VOCABULARY))
    table = piece_table()
    for side, (language, sizes) in enumerate(zip(LANGUAGES, lengths(pairs))):
        (folder / f"dict.{language}.txt").write_text(words, encoding="utf-8")
        rng = np.random.default_rng([0, 1 + side])
        tokens = np.empty(int(sizes.sum(dtype=np.int64)), dtype=np.uint16)
        for start in range(0, len(tokens), _DRAWN):
            part = tokens[start : start + _DRAWN]
            part[:] = table[rng.integers(0, 1 << _TABLE_BITS, len(part), dtype=np.uint32)]
        tokens[np.cumsum(sizes, dtype=np.int64) - 1] = EOS
        write_side(folder / f"train.{'-'.join(LANGUAGES)}.{language}", tokens, sizes)


class VirtualFeatures:
    """Features computed from the pair's id: rows of a small table, named by a hash of the id.

    Rows are gathered and multiplied as in `features.store.Features`, but from memory. The table
    (about 25 MB) fits the caches better than the features of a large corpus do.

    Args:
        rows: number of pairs, without a limit: the features take no memory by pair
    """

    dimensions = 2 * (VOCABULARY + SPECIAL)
    difficulty = None

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self._shift = 64 - _ROW_BITS
        kept, nonzeros = 1 << _ROW_BITS, _NONZEROS
        rng = np.random.default_rng(7)
        columns = piece_table()[rng.integers(0, 1 << _TABLE_BITS, kept * nonzeros)].astype(np.int32)
        columns.reshape(kept, nonzeros)[:, nonzeros // 2 :] += self.dimensions // 2
        values = rng.random(kept * nonzeros, dtype=np.float32) / np.float32(nonzeros**0.5)
        offsets = np.arange(0, kept * nonzeros + 1, nonzeros, dtype=np.int32)
        self._table = sp.csr_array((values, columns, offsets), shape=(kept, self.dimensions))

        planted = rng.standard_normal(self.dimensions, dtype=np.float32)
        noise = 0.7 * rng.standard_normal(kept, dtype=np.float32)
        self._losses = np.maximum(self._table @ planted + noise + np.float32(3.0), np.float32(0.05))

    def losses(self, ids: np.ndarray) -> np.ndarray:
        """Losses from a pair's features and noise, in nats per token: float32, shape of ``ids``."""
        return self._losses[self._rows_of(ids)]

    def gather(self, ids: np.ndarray) -> CsrRows:
        """Rows of pairs ``ids`` (int64, (n,)): CSR float32 (n, dimensions)."""
        return CsrRows(self._table[self._rows_of(ids)])

    def scores(self, ids: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """``gather(ids).dot(weights)``: float32 (n,)."""
        return self._table[self._rows_of(ids)] @ weights

    def _rows_of(self, ids: np.ndarray) -> np.ndarray:
        # Fibonacci hashing: neighbouring ids go to distant rows
        mixed = ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        return (mixed >> np.uint64(self._shift)).astype(np.int64)
