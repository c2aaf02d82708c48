"""Reading of pieces from data-bins: exact, in runs, and over several data-bins."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fairseq_autoassist.errors import FeatureError
from fairseq_autoassist.features.agreement import reading
from fairseq_autoassist.features.agreement.nulls import reordered
from fairseq_autoassist.features.agreement.reading import (
    RUN,
    Pairs,
    Sentences,
    drawn_runs,
    halves,
    read_pairs,
    read_runs,
    read_side,
    side_paths,
)
from fairseq_autoassist.text.corpus import Shard, open_shard
from tests.support.agreement import lists_of, sentences
from tests.support.corpus import multi30k_pairs, write_data_bin

VOCABULARY = 300  # words of a dictionary
SIZES = (VOCABULARY + 4, VOCABULARY + 4)
ROWS = (2500, 1300)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> list[Shard]:
    """Two data-bins with <s>, <pad>, </s> and <unk> inside sentences."""
    found = []
    for number, rows in enumerate(ROWS):
        folder = tmp_path_factory.mktemp("shards") / str(number)
        write_data_bin(folder, rows, 6, seed=number, vocabulary=VOCABULARY)
        for lang in ("de", "en"):
            path = folder / f"train.de-en.{lang}.bin"
            tokens = np.fromfile(path, "<u2")
            tokens[3::5] = np.arange(len(tokens[3::5])) % 4
            tokens.tofile(path)
        found.append(open_shard(folder, folder, "train", "de", "en"))
    return found


def plain(shard: Shard, side: int) -> list[list[int]]:
    """Tokens of every sentence, without special symbols, by a loop."""
    half = (shard.source, shard.target)[side]
    tokens = np.fromfile(half.data_path, "<u2").tolist()
    lists, at = [], 0
    for size in half.sizes.tolist():
        lists.append([token for token in tokens[at : at + size] if token >= 4])
        at += size
    return lists


def test_pieces_are_the_tokens_without_special_symbols(shards: list[Shard]) -> None:
    for shard in shards:
        pairs = read_pairs(side_paths(shard), 0, shard.rows, SIZES)
        part = read_pairs(side_paths(shard), 700, 900, SIZES)
        assert pairs.count == shard.rows and part.count == 200
        for side in (0, 1):
            wanted = plain(shard, side)
            assert lists_of(pairs.side(side)) == wanted
            assert lists_of(part.side(side)) == wanted[700:900]
            assert pairs.side(side).lengths.tolist() == [len(some) for some in wanted]
            rows = [row for row, some in enumerate(wanted) for _ in some]
            assert pairs.side(side).rows.tolist() == rows


def test_all_runs_are_drawn_where_the_sample_is_no_smaller() -> None:
    wanted = [(0, 0, RUN), (0, RUN, 2 * RUN), (0, 2 * RUN, 2500), (1, 0, RUN), (1, RUN, 1300)]
    assert drawn_runs(ROWS, 3800, 1) == wanted


def test_drawn_runs_are_whole_in_order_and_of_the_seed() -> None:
    rows = [100 * RUN + 7, 50 * RUN]
    runs = drawn_runs(rows, 30 * RUN - 5, 1)
    assert runs == sorted(set(runs)) and len(runs) == 30
    assert set(runs) <= set(drawn_runs(rows, sum(rows), 1))
    assert {shard for shard, _, _ in runs} == {0, 1}
    assert runs == drawn_runs(rows, 30 * RUN - 5, 1) != drawn_runs(rows, 30 * RUN - 5, 2)


@pytest.mark.parametrize("most", [1, 2 * RUN, 1 << 16])
def test_runs_are_read_one_after_the_other(
    shards: list[Shard], monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(reading, "_READ", most)
    runs = [(0, 0, RUN), (0, RUN, 2 * RUN), (0, 2 * RUN, 2500), (1, RUN, 1300)]
    pairs, numbers = read_runs(shards, runs, SIZES)
    for side in (0, 1):
        texts = [plain(shard, side) for shard in shards]
        wanted = [some for shard, start, stop in runs for some in texts[shard][start:stop]]
        assert lists_of(pairs.side(side)) == wanted
    lengths = [stop - start for _, start, stop in runs]
    assert numbers.tolist() == np.repeat(np.arange(len(runs)), lengths).tolist()


def test_neighbouring_runs_are_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_READ", 3 * RUN)
    runs = [(0, n * RUN, (n + 1) * RUN) for n in (0, 1, 2, 3, 5)] + [(1, 8 * RUN, 9 * RUN)]
    wanted = [(0, 0, 0, 3 * RUN), (3, 0, 3 * RUN, 4 * RUN), (4, 0, 5 * RUN, 6 * RUN)]
    assert list(reading._joined(runs)) == [*wanted, (5, 1, 8 * RUN, 9 * RUN)]


def test_loaded_pairs_equal_the_saved_ones(shards: list[Shard], tmp_path: Path) -> None:
    pairs = read_pairs(side_paths(shards[0]), 0, 50, SIZES)
    pairs.save(tmp_path)
    loaded = Pairs.load(tmp_path)
    for side in (0, 1):
        assert lists_of(loaded.side(side)) == lists_of(pairs.side(side))
        assert isinstance(loaded.side(side).pieces, np.memmap)


def test_ids_that_the_dictionary_lacks_are_refused(shards: list[Shard]) -> None:
    path = side_paths(shards[0])[1]
    highest = int(np.fromfile(shards[0].target.data_path, "<u2").max())
    assert len(read_side(path, 0, 2500, highest + 1).pieces)
    said = f"found token ids 0 to {highest}, expected 0 to {highest - 1} .*fairseq-preprocess again"
    with pytest.raises(FeatureError, match=said) as caught:
        read_side(path, 0, 2500, highest)
    assert "\n" not in str(caught.value) and str(shards[0].target.data_path) in str(caught.value)


@pytest.fixture(scope="module")
def captions() -> Sentences:
    """Real sources, of which the last hundred repeat the first, and two are empty."""
    ids: dict[str, int] = {}
    texts = [english.split() for english, _ in multi30k_pairs("train", 4000)]
    texts = [*texts, [], *texts[:100], []]
    return sentences([[4 + ids.setdefault(word, len(ids)) for word in text] for text in texts])


def test_a_source_falls_into_one_half_wherever_it_stands(captions: Sentences) -> None:
    found = halves(captions)
    assert found.dtype == np.uint8
    assert np.array_equal(found[:100], found[4001:4101]) and found[4000] == found[4101]
    for start, stop in ((0, 1), (0, 1700), (1700, 4102), (4000, 4001)):
        part = reordered(captions, np.arange(start, stop))
        assert np.array_equal(halves(part), found[start:stop])


def test_distinct_sources_fall_into_halves(captions: Sentences) -> None:
    found = halves(captions)
    first = {tuple(some): half for some, half in zip(lists_of(captions), found.tolist())}
    assert len(first) > 3900
    assert abs(np.mean(list(first.values())) - 0.5) < 0.03


def test_order_and_every_piece_count_for_the_half() -> None:
    rng = np.random.default_rng(0)
    base = [rng.integers(4, 1000, 12).tolist() for _ in range(400)]
    changed = {
        "order": [some[::-1] for some in base],
        "first": [[1001, *some[1:]] for some in base],
        "last": [[*some[:-1], 1001] for some in base],
    }
    for name, lists in changed.items():
        moved = (halves(sentences(lists)) != halves(sentences(base))).mean()
        assert abs(moved - 0.5) < 0.1, name


def test_reordered_takes_sentences_by_number() -> None:
    side = sentences([[5, 6], [], [7], [8, 9, 10]])
    assert lists_of(reordered(side, np.array([3, 1, 0, 3]))) == [[8, 9, 10], [], [5, 6], [8, 9, 10]]
    assert lists_of(reordered(side, np.array([], dtype=np.int64))) == []
