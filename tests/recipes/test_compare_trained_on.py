"""Figures from a trace, against plain loops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fairseq_autoassist.core.trace import TRAINED
from recipes.compare.trained_on import Kept, TrainingPairs

SOURCE, TARGET = [3, 5, 2, 4], [4, 2, 6, 3]
# update, micro-batch, pairs: update 1 has two micro-batches
BATCHES = [(1, 0, [0, 2]), (1, 1, [1]), (2, 2, [3, 0, 1]), (4, 3, [2])]


@pytest.fixture
def kept() -> Kept:
    rows = [(update, batch, pair) for update, batch, ids in BATCHES for pair in ids]
    pairs = TrainingPairs(np.array(SOURCE), np.array(TARGET))
    return Kept(np.array(rows, TRAINED), pairs)


@pytest.mark.parametrize("update", [0, 1, 2, 3, 4, 9])
def test_tokens_and_padding_equal_those_of_plain_loops(kept: Kept, update: int) -> None:
    batches = [ids for at, _, ids in BATCHES if at <= update]
    assert kept.tokens(update) == sum(TARGET[pair] for ids in batches for pair in ids)
    assert kept.padded_tokens(update) == sum(
        len(ids) * (max(SOURCE[pair] for pair in ids) + max(TARGET[pair] for pair in ids))
        for ids in batches
    )


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
