"""Statistics of a pair, and their bins, which are columns for the Assistant."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...errors import FeatureError
from ...text.binarized import SPECIAL_SYMBOLS
from .reading import Pairs, Sentences

#: statistics of a pair, in the order of the columns
NAMES = (
    "information_target",
    "information_source",
    "coverage_target",
    "coverage_source",
    "copy_share",
    "unusual_lengths",
    "numbers",
    "language_source",
    "language_target",
)
BINS = 8  # of each statistic; a bin is a column of the features
NO_NUMBERS = -1.0  # share where neither side has numbers


class Vocabulary(NamedTuple):
    """Pieces of both dictionaries under joint ids.

    Attributes:
        joint: for each side, the joint id of each dictionary id: int64 (dictionary size,)
        size: number of joint ids
        digits: bool (size,), whether the piece holds a digit
        words: for each side, the pieces by dictionary id
    """

    joint: tuple[np.ndarray, np.ndarray]
    size: int
    digits: np.ndarray
    words: tuple[list[str], list[str]]

    def same(self, given: int) -> np.ndarray:
        """Map each dictionary id of side ``given`` to the other side's id of the same piece.

        Returns:
            int64 (dictionary size,); -1 where the other side lacks the piece
        """
        other = np.full(self.size, -1, dtype=np.int64)
        ids = self.joint[1 - given]
        other[ids] = np.arange(len(ids))
        found = other[self.joint[given]]
        found[:SPECIAL_SYMBOLS] = -1
        return found

    def joined(self, pairs: Pairs) -> Pairs:
        """Convert pairs to joint ids."""
        return Pairs(
            *(Sentences(self.joint[n][pairs.side(n).pieces], pairs.side(n).offsets) for n in (0, 1))
        )


def read_vocabulary(source: Path, target: Path) -> Vocabulary:
    """Read both dictionaries: ``dict.<lang>.txt`` of the source and of the target.

    Raises:
        FeatureError: a file cannot be read
    """
    ids: dict[str, int] = {}
    joint, words = [], []
    for path in (source, target):
        try:
            with open(path, encoding="utf-8") as file:
                mine = [line.split(" ", 1)[0] for line in file]
        except OSError as error:
            raise FeatureError(f"cannot read dictionary {path}: {error.strerror}") from error
        mine = [f"<special{n}>" for n in range(SPECIAL_SYMBOLS)] + mine
        joint.append(np.array([ids.setdefault(word, len(ids)) for word in mine], dtype=np.int64))
        words.append(mine)
    digits = np.zeros(len(ids), dtype=bool)
    digits[[place for word, place in ids.items() if any(c.isdigit() for c in word)]] = True
    digits[:SPECIAL_SYMBOLS] = False
    return Vocabulary((joint[0], joint[1]), len(ids), digits, (words[0], words[1]))


def common_share(pairs: Pairs, vocabulary: int, counted: np.ndarray | None = None) -> np.ndarray:
    """Compute the share of piece types on both sides of a pair among those on either side.

    Args:
        pairs: with joint ids of pieces
        vocabulary: number of joint ids
        counted: bool (vocabulary,), pieces to count; None: all

    Returns:
        float32 (n,); NO_NUMBERS where neither side has any
    """
    keys = []
    for side in (pairs.source, pairs.target):
        key = side.rows * vocabulary + side.pieces
        keys.append(np.unique(key if counted is None else key[counted[side.pieces]]))
    both = np.intersect1d(keys[0], keys[1], assume_unique=True)
    types = [np.bincount(key // vocabulary, minlength=pairs.count) for key in (*keys, both)]
    either = types[0] + types[1] - types[2]
    share = types[2] / np.maximum(either, 1)
    return np.where(either > 0, share, NO_NUMBERS).astype(np.float32)


def length_ratio(pairs: Pairs) -> np.ndarray:
    """Compute ln of target pieces over source pieces, with one added to each: float32 (n,)."""
    ratio = np.log((pairs.target.lengths + 1.0) / (pairs.source.lengths + 1.0))
    return ratio.astype(np.float32)


def bin_edges(values: np.ndarray) -> np.ndarray:
    """Compute inner edges of BINS bins of each statistic: float32 (statistics, BINS - 1).

    They are quantiles. A smallest value of many pairs (no numbers, no common pieces) has a bin of
    its own, and the other values share the rest.

    Args:
        values: float32 (n, statistics)
    """
    edges = np.empty((values.shape[1], BINS - 1), dtype=np.float32)
    for edge, column in zip(edges, values.T):
        above = column[column > column.min()]
        if 0 < len(above) < len(column) * (1 - 1 / BINS):
            edge[:] = np.quantile(above, np.linspace(0, 1, BINS)[:-1], method="inverted_cdf")
        else:
            edge[:] = np.quantile(column, np.linspace(0, 1, BINS + 1)[1:-1])
    return edges


def codes(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Find the bin of each value: uint8 (n, statistics)."""
    found = [np.searchsorted(edge, column, "right") for edge, column in zip(edges, values.T)]
    return np.stack(found, axis=1).astype(np.uint8)
