"""IBM Model 1 over piece ids, and the information that one side has about the other.

Model 1 is from Brown et al. 1993, "The Mathematics of Statistical Machine Translation". Each
predicted piece comes from one of the given pieces, or from none (NULL), all equally likely. So
p(t | s) = 1 / (len(s) + 1) * sum over j of t(t | s_j). EM fits t, here with a weight for each pair.
"""

from __future__ import annotations

from pathlib import Path
from typing import Iterator, NamedTuple

import numpy as np

from ..workers import Done
from .reading import Pairs, Sentences

TABLE = 1 << 26  # cells of a lexicon: 256 MiB of float32
ITERATIONS = 4
SMOOTHING = 0.2  # share of the unigram model in p(t | s), which bounds the cost of a piece
COVERED = 2.0  # a piece is covered where the other side makes it so many times likelier
LONGEST = 200  # pieces of a sentence that are read
ITSELF = 0.5  # pseudo-count of a piece under the same piece, for rare names and numbers
_CELLS = 400_000  # of a batch: pairs x given x predicted
_NULL, _PAD = 0, 1  # special symbols, which no sentence here holds
LEAST = float(np.log(SMOOTHING))  # information of a piece that the other side rules out, nats


class Information(NamedTuple):
    """Information of one side about the other, for each pair.

    Attributes:
        gain: mean of ln p(t | s) - ln p(t) over the predicted pieces: nats per piece, float32 (n,)
        coverage: share of the predicted pieces that the given side explains: float32 (n,)
    """

    gain: np.ndarray
    coverage: np.ndarray


class Lexicon(NamedTuple):
    """Lexicon t(t | s) of a direction.

    Cell ``starts[s] + t`` of the table holds the expected count of t under s; divided by the sum
    over t it is t(t | s). Where not all rows fit into the table, they start at random cells and
    overlap, which does little harm to sparse rows (feature hashing).

    Attributes:
        table: expected counts, float32 (cells,)
        starts: first cell of each given piece, int64 (given vocabulary,)
        inverse: 1 / expected count of each given piece, float32 (given vocabulary,)
        unigram: p(t), float32 (predicted vocabulary,)
    """

    table: np.ndarray
    starts: np.ndarray
    inverse: np.ndarray
    unigram: np.ndarray

    def save(self, folder: Path) -> None:
        """Write each field to a .npy file in a new folder."""
        folder.mkdir()
        for name, values in zip(self._fields, self):
            np.save(folder / f"{name}.npy", values)

    @classmethod
    def open(cls, folder: Path) -> Lexicon:
        """Map the files of `save`; processes of a machine share the memory."""
        return cls(*(np.load(folder / f"{name}.npy", "r") for name in cls._fields))


class _Batch(NamedTuple):
    """Pairs of similar length, padded.

    Attributes:
        ids: of the pairs, int64 (b,)
        given: pieces, NULL first, int64 (b, 1 + longest)
        predicted: pieces, int64 (b, longest)
        real: bool, whether a predicted piece is no padding
        lengths: pieces of the given side and NULL, int64 (b,)
    """

    ids: np.ndarray
    given: np.ndarray
    predicted: np.ndarray
    real: np.ndarray
    lengths: np.ndarray


def _batches(given: Sentences, predicted: Sentences, ids: np.ndarray) -> Iterator[_Batch]:
    """Put the pairs ``ids`` into batches of similar length."""
    ones = np.minimum(given.lengths, LONGEST) + 1
    others = np.minimum(predicted.lengths, LONGEST)
    order = ids[np.lexsort((others[ids], (ones[ids] + 2) // 4))]
    at = 0
    while at < len(order):
        guess = _CELLS // max(1, int(ones[order[at]] * max(others[order[at]], 1))) + 1
        chosen = order[at : at + guess]
        cells = int(ones[chosen].max()) * max(int(others[chosen].max()), 1)
        chosen = chosen[: max(1, _CELLS // cells)]
        pieces, real = _padded(predicted, chosen, others[chosen])
        lengths = ones[chosen]
        padded, _ = _padded(given, chosen, lengths - 1)
        nulls = np.full((len(chosen), 1), _NULL, dtype=np.int64)
        yield _Batch(chosen, np.hstack([nulls, padded]), pieces, real, lengths)
        at += len(chosen)


def _padded(side: Sentences, ids: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pad sentences: pieces (b, longest) int64, and whether each is real, bool."""
    column = np.arange(max(int(lengths.max()), 1))
    real = column < lengths[:, None]
    place = np.where(real, side.offsets[ids][:, None] + column, 0)
    pieces = side.pieces[place] if len(side.pieces) else np.zeros(place.shape, dtype=np.int32)
    return np.where(real, pieces, _PAD).astype(np.int64), real


def _starts(given: int, predicted: int, table: int) -> tuple[np.ndarray, int]:
    """First cell of each row, and the number of cells."""
    if given * predicted <= table:
        return np.arange(given, dtype=np.int64) * predicted, given * predicted
    rng = np.random.Generator(np.random.Philox(key=given))
    return rng.integers(0, table - predicted, given, dtype=np.int64), table


def fit(
    pairs: Pairs,
    given: int,
    vocabularies: tuple[int, int],
    weights: np.ndarray,
    same: np.ndarray | None = None,
    table: int = TABLE,
    done: Done = lambda pairs: None,
) -> Lexicon:
    """Fit by EM the direction that predicts the other side from side ``given``.

    Args:
        pairs: to learn from
        given: 0 for the source, 1 for the target
        vocabularies: sizes of the source and the target dictionary
        weights: of the pairs, float (n,), in [0, 1]; pairs of weight 0 are not read
        same: for each given piece the predicted piece of the same spelling, or -1: integers
            (given vocabulary,); None: there are none
        table: number of cells to use
        done: called with numbers of pairs that are done, ITERATIONS times in all
    """
    one, other = pairs.side(given), pairs.side(1 - given)
    sizes = vocabularies[given], vocabularies[1 - given]
    ids = np.flatnonzero((weights > 0) & (one.lengths > 0) & (other.lengths > 0))
    counts = np.bincount(other.pieces, np.repeat(weights, other.lengths), sizes[1]) + 0.5
    starts, cells = _starts(*sizes, table)
    expected: np.ndarray | None = None
    inverse = np.ones(sizes[0], dtype=np.float32)
    inverse[_PAD] = 0.0
    for _ in range(ITERATIONS):
        following = np.zeros(cells, dtype=np.float32)
        totals = np.zeros(sizes[0])
        for batch in _batches(one, other, ids):
            places = starts[batch.given][:, :, None] + batch.predicted[:, None, :]
            share = np.broadcast_to(inverse[batch.given][:, :, None], places.shape)
            share = share.copy() if expected is None else share * expected[places]
            mass = (batch.real * weights[batch.ids][:, None]).astype(np.float32)
            share *= (mass / np.maximum(share.sum(1), 1e-30))[:, None, :]
            totals += np.bincount(batch.given.ravel(), share.sum(2).ravel(), sizes[0])
            np.add.at(following, places.ravel(), share.ravel())
            done(len(batch.ids))
        expected = following
        inverse = _inverse(totals)
    assert expected is not None
    if same is not None:
        pieces = np.flatnonzero(same >= 0)
        np.add.at(expected, starts[pieces] + same[pieces], np.float32(ITSELF))
        totals[pieces] += ITSELF
        inverse = _inverse(totals)
    return Lexicon(expected, starts, inverse, (counts / counts.sum()).astype(np.float32))


def _inverse(totals: np.ndarray) -> np.ndarray:
    """Give 1 / total of each given piece, 0 for padding and where the total is 0: float32."""
    inverse = np.where(totals > 0, 1.0 / np.maximum(totals, 1e-12), 0.0).astype(np.float32)
    inverse[_PAD] = 0.0
    return inverse


def information(lexicon: Lexicon, given: Sentences, predicted: Sentences) -> Information:
    """Measure the information of ``given`` about ``predicted``, for each sentence.

    Sentences are cut at LONGEST pieces. A pair with an empty side gets `LEAST`.
    """
    count = len(given.offsets) - 1
    gain = np.full(count, LEAST, dtype=np.float32)
    coverage = np.zeros(count, dtype=np.float32)
    ids = np.flatnonzero((given.lengths > 0) & (predicted.lengths > 0))
    for batch in _batches(given, predicted, ids):
        places = lexicon.starts[batch.given][:, :, None] + batch.predicted[:, None, :]
        likely = lexicon.table[places]
        likely *= lexicon.inverse[batch.given][:, :, None]
        ratio = likely.sum(1)
        ratio /= batch.lengths[:, None].astype(np.float32) * lexicon.unigram[batch.predicted]
        pieces = batch.real.sum(1, dtype=np.float32)
        bits = np.log((1.0 - SMOOTHING) * ratio + SMOOTHING, dtype=np.float32)
        gain[batch.ids] = (bits * batch.real).sum(1) / pieces
        coverage[batch.ids] = ((ratio > COVERED) & batch.real).sum(1) / pieces
    return Information(gain, coverage)
