"""Parts of a shard, which workers are sent."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator, NamedTuple

import numpy as np

from ...text.corpus import Shard


class Part(NamedTuple):
    """Pairs [start, stop) of a shard, and the folder for their features.

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
    """Cut a shard into parts of about ``part_tokens`` tokens (None: one part), in row order.

    Their folders are inside ``folder``.
    """
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
    """Cut rows [start, end) into ranges of at most ``chunk_tokens`` tokens of both sides.

    Each range has at least one row.
    """
    # rows read per step: most pairs have more than 16 tokens, otherwise chunks are smaller
    window = max(1, chunk_tokens // 16)
    end = len(source_sizes) if end is None else end
    while start < end:
        stop = min(start + window, end)
        tokens = np.add(source_sizes[start:stop], target_sizes[start:stop], dtype="i8")
        fit = int(np.searchsorted(np.cumsum(tokens), chunk_tokens, side="right"))
        stop = start + max(1, fit)
        yield start, stop
        start = stop
