"""Reader of pieces of sentence pairs, from one or more data-bins, as flat arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, NamedTuple, Sequence

import numpy as np

from ...text.binarized import SPECIAL_SYMBOLS, BinarizedSide
from ...text.corpus import Shard

RUN = 1024  # neighbouring pairs that are drawn together, for nulls
_READ = 1 << 16  # pairs read at once


class Sentences(NamedTuple):
    """One side of some pairs, without special symbols.

    Attributes:
        pieces: dictionary ids, int32, all sentences in one run
        offsets: int64 (n + 1,); sentence i is ``pieces[offsets[i]:offsets[i + 1]]``
    """

    pieces: np.ndarray
    offsets: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """Pieces of each sentence, int64 (n,)."""
        return np.diff(self.offsets)

    @property
    def rows(self) -> np.ndarray:
        """Sentence of each piece, int64, shape of ``pieces``."""
        return np.repeat(np.arange(len(self.offsets) - 1), self.lengths)


@dataclass(frozen=True)
class Pairs:
    """Both sides of some pairs."""

    source: Sentences
    target: Sentences

    @property
    def count(self) -> int:
        """Number of pairs."""
        return len(self.source.offsets) - 1

    def side(self, given: int) -> Sentences:
        """Give the source (0) or the target (1)."""
        return self.target if given else self.source

    def save(self, folder: Path) -> None:
        """Write four .npy files that `load` maps."""
        for number, side in enumerate((self.source, self.target)):
            np.save(folder / f"pieces{number}.npy", side.pieces)
            np.save(folder / f"offsets{number}.npy", side.offsets)

    @classmethod
    def load(cls, folder: Path) -> Pairs:
        """Map the files of `save`."""
        names = [(f"pieces{n}.npy", f"offsets{n}.npy") for n in (0, 1)]
        return cls(*(Sentences(*(np.load(folder / n, "r") for n in pair)) for pair in names))


def read_side(path: Path, start: int, stop: int, vocabulary: int) -> Sentences:
    """Read sentences [start, stop) of one side; ``path`` is without ``.idx``.

    Raises:
        FeatureError: the files are damaged, or have ids outside the dictionary
    """
    tokens, offsets = BinarizedSide(path).read(start, stop, vocabulary)
    kept = tokens >= SPECIAL_SYMBOLS
    before = np.zeros(len(tokens) + 1, dtype=np.int64)
    np.cumsum(kept, out=before[1:])
    return Sentences(tokens[kept].astype(np.int32), before[offsets])


def read_pairs(
    paths: tuple[Path, Path], start: int, stop: int, vocabularies: tuple[int, int]
) -> Pairs:
    """Read pairs [start, stop) of a data-bin, given both sides' paths without ``.idx``."""
    source, target = (read_side(path, start, stop, size) for path, size in zip(paths, vocabularies))
    return Pairs(source, target)


def side_paths(shard: Shard) -> tuple[Path, Path]:
    """Both sides' absolute paths without ``.idx``."""
    return shard.source.prefix.absolute(), shard.target.prefix.absolute()


def drawn_runs(rows: Sequence[int], sample: int, seed: int) -> list[tuple[int, int, int]]:
    """Draw runs of neighbouring pairs with about ``sample`` pairs: (shard, start, stop) in order.

    A corpus with no more pairs than that is taken whole.

    Args:
        rows: pairs of each shard
        sample: number of pairs
        seed: of the draw
    """
    runs = [
        (shard, start, min(start + RUN, count))
        for shard, count in enumerate(rows)
        for start in range(0, count, RUN)
    ]
    if sum(rows) <= sample:
        return runs
    wanted = -(-sample // RUN)
    rng = np.random.Generator(np.random.Philox(key=seed))
    return [runs[n] for n in np.sort(rng.choice(len(runs), wanted, replace=False))]


def read_runs(
    shards: Sequence[Shard], runs: Sequence[tuple[int, int, int]], vocabularies: tuple[int, int]
) -> tuple[Pairs, np.ndarray]:
    """Read the pairs of all runs in order, and the number of each pair's run, int64 (n,)."""
    parts, numbers = [], []
    for first, shard, start, stop in _joined(runs):
        parts.append(read_pairs(side_paths(shards[shard]), start, stop, vocabularies))
        numbers.append(first + (np.arange(start, stop) - start) // RUN)
    sides = (_joined_sentences([part.side(n) for part in parts]) for n in (0, 1))
    return Pairs(*sides), np.concatenate(numbers)


def _joined(runs: Sequence[tuple[int, int, int]]) -> Iterator[tuple[int, int, int, int]]:
    """Join adjacent runs, which are read at once: (number of the first, shard, start, stop)."""
    at = 0
    while at < len(runs):
        shard, start, stop = runs[at]
        last = at + 1
        while (
            last < len(runs) and runs[last][:2] == (shard, stop) and runs[last][2] - start <= _READ
        ):
            stop = runs[last][2]
            last += 1
        yield at, shard, start, stop
        at = last


def _joined_sentences(parts: Sequence[Sentences]) -> Sentences:
    pieces = np.concatenate([part.pieces for part in parts])
    lengths = np.concatenate([part.lengths for part in parts])
    return Sentences(pieces, np.concatenate([[0], np.cumsum(lengths)]))


def halves(source: Sentences) -> np.ndarray:
    """Assign each pair to a half of the corpus, by its source's pieces: uint8 (n,), 0 or 1.

    Pairs with the same source are in one half, so no pair is judged by its own copy.
    """
    position = np.arange(len(source.pieces)) - np.repeat(source.offsets[:-1], source.lengths)
    mixed = (source.pieces.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= (position.astype(np.uint64) + np.uint64(1)) * np.uint64(0xC2B2AE3D27D4EB4F)
    mixed *= np.uint64(0xFF51AFD7ED558CCD)
    mixed ^= mixed >> np.uint64(33)
    total = np.zeros(len(mixed) + 1, dtype=np.uint64)
    np.cumsum(mixed, out=total[1:])
    summed = total[source.offsets[1:]] - total[source.offsets[:-1]]
    summed *= np.uint64(0xC4CEB9FE1A85EC53)
    return (summed >> np.uint64(63)).astype(np.uint8)
