"""Model 1: it equals a plain loop, and tells translations from other pairs."""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path
from typing import Sequence

import numpy as np
import pytest

from fairseq_autoassist.features.agreement import lexicon
from fairseq_autoassist.features.agreement.lexicon import (
    COVERED,
    ITERATIONS,
    ITSELF,
    LEAST,
    LONGEST,
    SMOOTHING,
    Lexicon,
    fit,
    information,
)
from fairseq_autoassist.features.agreement.passes import fit_lexicon
from fairseq_autoassist.features.agreement.reading import Pairs
from tests.support.agreement import lists_of, pairs_of, sentences

SIZES = (14, 17)  # of the dictionaries; the first four ids are special symbols
NULL = 0


def drawn_pairs(count: int = 60, seed: int = 0) -> Pairs:
    """Pairs of up to nine pieces a side, most of them translated.

    Some sides are empty, and one pair is longer than `LONGEST`.
    """
    rng = np.random.default_rng(seed)
    sides: tuple[list[list[int]], list[list[int]]] = ([], [])
    for number in range(count):
        lengths = [LONGEST + 30] * 2 if number == 5 else rng.integers(0, 10, 2)
        source = rng.integers(4, SIZES[0], lengths[0])
        target = rng.integers(4, SIZES[1], lengths[1])
        both = min(lengths)
        target[:both] = np.where(rng.random(both) < 0.8, source[:both] + 3, target[:both])
        sides[0].append(source.tolist())
        sides[1].append(rng.permutation(target).tolist())
    return pairs_of(*sides)


def test_a_task_that_runs_twice_leaves_the_lexicon_of_the_first_to_end(tmp_path: Path) -> None:
    pairs, place = drawn_pairs(), tmp_path / "round0"
    place.mkdir()
    pairs.save(tmp_path)
    np.save(tmp_path / "halves.npy", np.arange(pairs.count) % 2)
    task = (tmp_path, place, 0, 1, SIZES, np.full(SIZES[0], -1))
    kept = []
    for weight in (1.0, 0.5):
        np.save(place / "weights.npy", np.full(pairs.count, weight))
        fit_lexicon(*task)
        files = sorted(path for path in place.rglob("*") if path.is_file())
        kept.append({path: path.read_bytes() for path in files if path.name != "weights.npy"})
    assert kept[0] == kept[1] and all(path.parent.name == "lexicon01" for path in kept[0])


class Oracle:
    """Model 1 in dictionaries, a piece at a time.

    Attributes:
        table: t(t | s) of each pair of pieces
        unigram: p(t) of each piece
    """

    def __init__(
        self, pairs: Pairs, given: int, weights: np.ndarray, same: np.ndarray | None = None
    ) -> None:
        one, other = lists_of(pairs.side(given)), lists_of(pairs.side(1 - given))
        counts = dict.fromkeys(range(SIZES[1 - given]), 0.5)
        for pieces, weight in zip(other, weights):
            for piece in pieces:
                counts[piece] += weight
        self.unigram = {piece: count / sum(counts.values()) for piece, count in counts.items()}
        self.table: dict[tuple[int, int], float] = defaultdict(lambda: 1.0)
        for _ in range(ITERATIONS):
            expected = self._expected(one, other, weights)
            self._normalise(expected, None)
        self._normalise(expected, same)

    def _expected(
        self, one: list[list[int]], other: list[list[int]], weights: np.ndarray
    ) -> dict[tuple[int, int], float]:
        expected: dict[tuple[int, int], float] = defaultdict(float)
        for givens, pieces, weight in zip(one, other, weights):
            if not givens or not pieces:
                continue
            givens = [NULL, *givens[:LONGEST]]
            for piece in pieces[:LONGEST]:
                total = sum(self.table[given, piece] for given in givens)
                for given in givens:
                    expected[given, piece] += weight * self.table[given, piece] / total
        return expected

    def _normalise(self, expected: dict[tuple[int, int], float], same: np.ndarray | None) -> None:
        counted = dict(expected)
        for given, piece in enumerate([] if same is None else same.tolist()):
            if piece >= 0:
                counted[given, piece] = counted.get((given, piece), 0.0) + ITSELF
        totals: dict[int, float] = defaultdict(float)
        for (given, _), count in counted.items():
            totals[given] += count
        self.table = defaultdict(float)
        self.table.update({key: count / totals[key[0]] for key, count in counted.items() if count})

    def information(self, givens: Sequence[int], pieces: Sequence[int]) -> tuple[float, float]:
        """Gain and coverage of one pair."""
        if not givens or not pieces:
            return math.log(SMOOTHING), 0.0
        givens, pieces = [NULL, *givens[:LONGEST]], pieces[:LONGEST]
        ratios = [
            sum(self.table[given, piece] for given in givens) / len(givens) / self.unigram[piece]
            for piece in pieces
        ]
        gain = sum(math.log((1 - SMOOTHING) * ratio + SMOOTHING) for ratio in ratios)
        return gain / len(pieces), sum(ratio > COVERED for ratio in ratios) / len(pieces)


def likely(found: Lexicon, given: int) -> np.ndarray:
    """t(t | s) of every pair of pieces of a lexicon."""
    cells = found.starts[:, None] + np.arange(SIZES[1 - given])
    return found.table[cells] * found.inverse[:, None]


@pytest.mark.parametrize("given", [0, 1])
@pytest.mark.parametrize("alike", [False, True])
def test_fit_equals_a_loop(given: int, alike: bool) -> None:
    pairs = drawn_pairs()
    weights = np.random.default_rng(1).choice([0.0, 0.3, 1.0], pairs.count)
    same = None
    if alike:
        same = np.full(SIZES[given], -1)
        same[[5, 6, 9]] = [7, 6, 13]
    seen: list[int] = []
    found = fit(pairs, given, SIZES, weights, same, done=seen.append)
    wanted = Oracle(pairs, given, weights, same)
    table = np.zeros((SIZES[given], SIZES[1 - given]))
    for (one, other), value in wanted.table.items():
        table[one, other] = value
    np.testing.assert_allclose(likely(found, given), table, rtol=2e-4, atol=1e-6)
    np.testing.assert_allclose(found.unigram, list(wanted.unigram.values()), rtol=1e-6)
    full = (weights > 0) & (pairs.source.lengths > 0) & (pairs.target.lengths > 0)
    assert sum(seen) == ITERATIONS * full.sum()


@pytest.mark.parametrize("given", [0, 1])
def test_information_equals_a_loop(given: int) -> None:
    pairs, others = drawn_pairs(), drawn_pairs(50, seed=3)
    weights = np.linspace(0.2, 1, pairs.count)
    found = fit(pairs, given, SIZES, weights)
    wanted = Oracle(pairs, given, weights)
    sides = others.side(given), others.side(1 - given)
    told = information(found, *sides)
    loop = [wanted.information(*some) for some in zip(*map(lists_of, sides))]
    np.testing.assert_allclose(told.gain, [gain for gain, _ in loop], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(told.coverage, [coverage for _, coverage in loop], atol=1e-6)
    empty = (sides[0].lengths == 0) | (sides[1].lengths == 0)
    assert 0 < empty.sum() < 25 and (told.gain[empty] == np.float32(LEAST)).all()
    assert 0.1 < told.coverage.mean() < 0.9


def test_information_of_empty_sentences_is_the_least() -> None:
    found = fit(drawn_pairs(), 0, SIZES, np.ones(60))
    assert len(information(found, sentences([]), sentences([])).gain) == 0
    told = information(found, sentences([[], []]), sentences([[], []]))
    assert told.gain.tolist() == [np.float32(LEAST)] * 2 and told.coverage.tolist() == [0, 0]


def test_batches_hold_every_pair_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lexicon, "_CELLS", 700)
    pairs = drawn_pairs(300, seed=5)
    source, target = lists_of(pairs.source), lists_of(pairs.target)
    ids = np.array([n for n in range(300) if n % 3 and source[n] and target[n]])
    batches = list(lexicon._batches(pairs.source, pairs.target, ids))
    assert len(batches) > 5
    assert sorted(np.concatenate([batch.ids for batch in batches]).tolist()) == ids.tolist()
    for batch in batches:
        assert batch.given.shape[1] * batch.predicted.shape[1] * len(batch.ids) <= 700 or (
            len(batch.ids) == 1
        )
        for n, given, predicted, real, length in zip(*batch):
            assert given[:length].tolist() == [NULL, *source[n][:LONGEST]]
            assert predicted[real].tolist() == target[n][:LONGEST]
            assert (given[length:] == lexicon._PAD).all()


def word_for_word(count: int, seed: int) -> Pairs:
    """Pairs in which every piece of the source stands for one of the target."""
    rng = np.random.default_rng(seed)
    source = [rng.choice(200, 8, replace=False) + 4 for _ in range(count)]
    into = np.random.default_rng(0).permutation(200) + 4
    return pairs_of(source, [rng.permutation(into[pieces - 4]) for pieces in source])


def test_a_table_smaller_than_the_vocabularies_tells_translations() -> None:
    pairs, sizes, cells = word_for_word(600, 1), (204, 204), 12_000
    found = fit(pairs, 0, sizes, np.ones(600), table=cells)
    assert len(found.table) == cells < sizes[0] * sizes[1]
    assert found.starts.min() >= 0 and found.starts.max() + sizes[1] <= cells
    fresh, strangers = word_for_word(300, 2), word_for_word(300, 3)
    true = information(found, fresh.source, fresh.target).gain
    permuted = information(found, fresh.source, strangers.target).gain
    assert (true[:, None] > permuted).mean() > 0.99


def test_an_opened_lexicon_equals_the_saved_one(tmp_path: Path) -> None:
    found = fit(drawn_pairs(), 1, SIZES, np.ones(60))
    found.save(tmp_path / "new")
    opened = Lexicon.open(tmp_path / "new")
    for name, mine, other in zip(found._fields, found, opened):
        assert mine.dtype == other.dtype and np.array_equal(mine, other), name
        assert isinstance(other, np.memmap)
    with pytest.raises(FileExistsError):
        found.save(tmp_path / "new")
