"""First pass: a part of a shard -> its counts on disk, and counts of each token.

A worker runs `count_part`, on this machine or another. It gets paths and a range of rows, and
returns numbers per token.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from ...errors import FeatureError
from ...text.binarized import SPECIAL_SYMBOLS, UNKNOWN, BinarizedSide
from ..workers import Done
from .parts import Part, chunk_bounds
from .writer import SPLITS_NAME, Blocks, RowWriter


class PartCounts(NamedTuple):
    """Counts of a part.

    Attributes:
        frequencies: int64 (dimensions,), number of pairs with each token, source columns first.
        unigrams: int64 (source dimensions,), occurrences of each source token.
        blocks: that were written.
    """

    frequencies: np.ndarray
    unigrams: np.ndarray
    blocks: Blocks


def count_part(part: Part, done: Done = lambda pairs: None) -> PartCounts:
    """Write the counts of a part's pairs to ``part.folder``: CSR blocks, and splits.

    A cluster may run a task twice. Each run writes to a folder of its own, and the first to end
    renames it.

    Raises:
        FeatureError: the data are damaged, or the build was given up meanwhile.
    """
    part.folder.parent.stat()  # fails if the build was given up
    folder = Path(tempfile.mkdtemp(prefix=part.folder.name + ".", dir=part.folder.parent))
    try:
        counter = PairCounter(part)
        with RowWriter(folder, part.block_nonzeros) as writer, open(
            folder / SPLITS_NAME, "wb"
        ) as splits:
            bounds = chunk_bounds(
                counter.sides[0].sizes,
                counter.sides[1].sizes,
                part.chunk_tokens,
                part.start,
                part.stop,
            )
            for start, stop in bounds:
                if not folder.exists():
                    raise FeatureError("the build was given up: its folder is gone")
                rows, split = counter.count(start, stop)
                writer.append(rows)
                splits.write(split.astype("<i4").data)
                done(stop - start)
        try:
            folder.rename(part.folder)
        except OSError:
            if not part.folder.exists():
                raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return PartCounts(counter.frequencies, counter.unigrams, writer.written())


class PairCounter:
    """Counts tokens of pairs, and adds to ``frequencies`` and ``unigrams``."""

    def __init__(self, part: Part) -> None:
        self.sides = (BinarizedSide(part.source), BinarizedSide(part.target))
        self.dimensions = part.dimensions
        self.frequencies = np.zeros(sum(part.dimensions), dtype=np.int64)
        self.unigrams = np.zeros(part.dimensions[0], dtype=np.int64)

    def count(self, start: int, stop: int) -> tuple[sp.csr_array, np.ndarray]:
        """Count the tokens of pairs [start, stop).

        Returns:
            counts, CSR float32 (stop - start, dimensions), and integers (stop - start, 2) with the
            non-zeros of the source in each row, and its number of <unk>
        """
        source, unknown = self._count_side(0, start, stop)
        target, _ = self._count_side(1, start, stop)
        self.unigrams += np.bincount(source.indices, source.data, self.dimensions[0]).astype("i8")
        self.unigrams[UNKNOWN] += unknown.sum()
        split = np.stack([np.diff(source.indptr), unknown], axis=1)
        return sp.hstack([source, target], format="csr"), split

    def _count_side(self, i: int, start: int, stop: int) -> tuple[sp.csr_array, np.ndarray]:
        """Count one side: CSR counts, and the number of <unk> of each sentence (stop - start,)."""
        tokens, offsets = self.sides[i].read(start, stop, self.dimensions[i])
        kept = tokens >= SPECIAL_SYMBOLS
        columns = tokens[kept].astype(np.int32)
        # Offsets move by the special symbols before them, which are left out.
        before = np.zeros(len(tokens) + 1, dtype=np.int32)
        np.cumsum(kept, out=before[1:])
        ones = np.ones(len(columns), dtype=np.float32)
        shape = (stop - start, self.dimensions[i])
        counts = sp.csr_array((ones, columns, before[offsets]), shape=shape)
        counts.sum_duplicates()
        cut = i * self.dimensions[0]
        self.frequencies[cut : cut + self.dimensions[i]] += np.bincount(
            counts.indices, minlength=self.dimensions[i]
        )
        unknown = np.searchsorted(np.flatnonzero(tokens == UNKNOWN), offsets)
        return counts, np.diff(unknown)
