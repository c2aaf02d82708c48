"""Figures from a trace, against plain loops."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from fairseq_autoassist.core.trace import TRAINED
from fairseq_autoassist.text.binarized import BinarizedSide
from recipes.compare.trained_on import Kept, TrainingPairs, load_pairs
from tests.support.compare import corpora

SOURCE, TARGET = [3, 5, 2, 4], [4, 2, 6, 3]
# update, micro-batch, pairs: update 1 has two micro-batches
BATCHES = [(1, 0, [0, 2]), (1, 1, [1]), (2, 2, [3, 0, 1]), (4, 3, [2])]


@pytest.fixture
def kept() -> Kept:
    rows = [(update, batch, pair) for update, batch, ids in BATCHES for pair in ids]
    pairs = TrainingPairs(np.array(SOURCE), np.array(TARGET), np.array([0.5, 1.0, 1.5, 2.0]))
    return Kept(np.array(rows, TRAINED), pairs)


@pytest.mark.parametrize("update", [0, 1, 2, 3, 4, 9])
def test_tokens_and_padding_equal_those_of_plain_loops(kept: Kept, update: int) -> None:
    batches = [ids for at, _, ids in BATCHES if at <= update]
    assert kept.tokens(update) == sum(TARGET[pair] for ids in batches for pair in ids)
    assert kept.padded_tokens(update) == sum(
        len(ids) * (max(SOURCE[pair] for pair in ids) + max(TARGET[pair] for pair in ids))
        for ids in batches
    )


def test_drift_is_of_the_pairs_between_two_marks(kept: Kept) -> None:
    first, second = kept.drift([1, 4])
    assert first == {"update": 1, "length": pytest.approx(12 / 3), "rarity": pytest.approx(1.0)}
    assert second == {"update": 4, "length": pytest.approx(15 / 4), "rarity": pytest.approx(1.25)}
    assert kept.drift_all() == {"length": pytest.approx(3.75), "rarity": pytest.approx(1.25)}
    assert [row["update"] for row in kept.drift([4, 8])] == [4], "no pair follows update 4"


def test_counts_above_255_take_two_bytes_and_stop_at_65535(kept: Kept) -> None:
    rows = np.array([(1, 1, 0)] * 300 + [(1, 1, 2)], TRAINED)
    assert Kept(rows, kept.pairs).counts().tolist() == [300, 0, 1, 0]
    counts = Kept(np.zeros(70_000, TRAINED), kept.pairs).counts()  # all of pair 0
    assert counts.tolist() == [65_535, 0, 0, 0] and counts.dtype == np.uint16


def test_pairs_are_counted_by_id_and_by_label(kept: Kept, tmp_path: Path) -> None:
    assert kept.counts().dtype == np.uint8
    assert kept.counts().tolist() == [2, 2, 2, 1]
    path = tmp_path / "labels.txt"
    path.write_text("V\nA\nV\nA\n", encoding="utf-8")
    assert kept.labels(path, 2.5) == {
        "A": {"pairs": 2, "trained": 3, "considered": 5},
        "V": {"pairs": 2, "trained": 4, "considered": 5},
    }
    path.write_text("V\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="has 1 lines; expected 4"):
        kept.labels(path, 1)


def test_rarity_is_the_mean_surprise_of_the_words() -> None:
    data_bin = corpora() / "multi30k" / "data-bin"
    side = BinarizedSide(data_bin / "train.en-de.en")
    tokens, offsets = side.read(0, len(side.sizes))
    sentences = [tokens[a:b].tolist() for a, b in zip(offsets, offsets[1:])]
    counts = Counter(word for sentence in sentences for word in sentence[:-1])
    total = sum(counts.values())
    expected = [
        sum(-math.log(counts[word] / total) for word in sentence[:-1]) / max(len(sentence) - 1, 1)
        for sentence in sentences
    ]
    assert load_pairs(data_bin).rarity == pytest.approx(expected)
