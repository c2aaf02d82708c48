"""A shard cut into parts of pairs: what each worker is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator, NamedTuple

import numpy as np

from ...text.corpus import Shard


class Part(NamedTuple):
    """Pairs [start, stop) of a shard, and where what is made of them goes: what workers are sent.

    ``source`` and ``target`` are the sides' paths without ``.idx``, ``dimensions`` the sizes of
    their dictionaries. All paths are absolute, since a worker may start anywhere.
    """

    source: Path
    target: Path
    dimensions: tuple[int, int]
    start: int
    stop: int
    folder: Path
    chunk_tokens: int
    block_nonzeros: int

    @property
    def rows(self) -> int:
        """Number of pairs."""
        return self.stop - self.start


def shard_parts(
    shard: Shard,
    dimensions: tuple[int, int],
    folder: Path,
    part_tokens: int | None,
    chunk_tokens: int,
    block_nonzeros: int,
) -> list[Part]:
    """The shard cut into parts of about ``part_tokens`` tokens (None: one part), in row order, with
    folders inside ``folder``."""
    sides = (shard.source.sizes, shard.target.sizes)
    bounds = [(0, shard.rows)] if part_tokens is None else chunk_bounds(*sides, part_tokens)
    prefixes = (shard.source.prefix.absolute(), shard.target.prefix.absolute())
    folder = folder.absolute()
    return [
        Part(*prefixes, dimensions, *bound, folder / f"part{n}", chunk_tokens, block_nonzeros)
        for n, bound in enumerate(bounds)
    ]


def chunk_bounds(
    source_sizes: np.ndarray,
    target_sizes: np.ndarray,
    chunk_tokens: int,
    start: int = 0,
    end: int | None = None,
) -> Iterator[tuple[int, int]]:
    """Consecutive ranges of rows [start, end) of at most ``chunk_tokens`` tokens, both sides
    counted (one row at least, however long)."""
    window = max(1, chunk_tokens // 16)  # rows looked at per step: most pairs have more
    # tokens than 16; where they have not, chunks are smaller
    end = len(source_sizes) if end is None else end
    while start < end:
        stop = min(start + window, end)
        tokens = np.add(source_sizes[start:stop], target_sizes[start:stop], dtype="i8")
        fit = int(np.searchsorted(np.cumsum(tokens), chunk_tokens, side="right"))
        stop = start + max(1, fit)
        yield start, stop
        start = stop
