"""Statistics of pairs, against loops over Python sets."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from fairseq_autoassist.errors import FeatureError
from fairseq_autoassist.features.agreement.reading import Pairs
from fairseq_autoassist.features.agreement.statistics import (
    BINS,
    NO_NUMBERS,
    Vocabulary,
    bin_edges,
    codes,
    common_share,
    length_ratio,
    read_vocabulary,
)
from tests.support.agreement import lists_of, pairs_of

ENGLISH = ["the", "3", "Anna", "cat", "x1", "\u2581a"]
GERMAN = ["die", "Anna", "x1", "3", "Katze"]


def write_dictionary(path: Path, words: list[str]) -> Path:
    path.write_text("".join(f"{word} {9 - n}\n" for n, word in enumerate(words)), encoding="utf-8")
    return path


@pytest.fixture
def vocabulary(tmp_path: Path) -> Vocabulary:
    """Vocabulary of two dictionaries that have three words in common."""
    paths = [
        write_dictionary(tmp_path / f"dict.{name}.txt", words)
        for name, words in (("en", ENGLISH), ("de", GERMAN))
    ]
    return read_vocabulary(*paths)


def drawn_pairs(count: int = 400) -> Pairs:
    """Pairs of ids below 20, often repeated; some sides are empty."""
    rng = np.random.default_rng(0)
    return pairs_of(
        *([rng.integers(0, 20, rng.integers(0, 9)) for _ in range(count)] for _ in "st")
    )


def test_common_share_is_that_of_sets() -> None:
    pairs = drawn_pairs()
    found = common_share(pairs, 20)
    wanted = []
    for source, target in zip(lists_of(pairs.source), lists_of(pairs.target)):
        one, other = set(source), set(target)
        wanted.append(len(one & other) / len(one | other) if one | other else NO_NUMBERS)
    assert found.dtype == np.float32 and NO_NUMBERS in wanted and 0.0 in wanted
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_common_share_counts_only_chosen_pieces() -> None:
    pairs, counted = drawn_pairs(), {2, 3, 11}
    mask = np.isin(np.arange(20), list(counted))
    found = common_share(pairs, 20, mask)
    wanted = []
    for source, target in zip(lists_of(pairs.source), lists_of(pairs.target)):
        one, other = set(source) & counted, set(target) & counted
        wanted.append(len(one & other) / len(one | other) if one | other else NO_NUMBERS)
    assert {NO_NUMBERS, 0.0, 0.5, 1.0} <= set(wanted)
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert (common_share(pairs, 20, np.zeros(20, dtype=bool)) == NO_NUMBERS).all()


def test_length_ratio_is_the_log_ratio_of_lengths_plus_1() -> None:
    found = length_ratio(pairs_of([[4] * 3, [], [4] * 7], [[4] * 3, [4], []]))
    assert found == pytest.approx([0.0, math.log(2), -math.log(8)]) and found.dtype == np.float32


def test_one_word_has_one_joint_id(vocabulary: Vocabulary) -> None:
    source, target = vocabulary.joint
    assert vocabulary.size == 4 + len(set(ENGLISH) | set(GERMAN))
    assert sorted(set(source.tolist()) | set(target.tolist())) == list(range(vocabulary.size))
    for one, word in enumerate(ENGLISH):
        for other, german in enumerate(GERMAN):
            assert (source[4 + one] == target[4 + other]) == (word == german)
    assert source[:4].tolist() == target[:4].tolist() == [0, 1, 2, 3]
    assert vocabulary.words[0][4:] == ENGLISH and vocabulary.words[1][4:] == GERMAN
    digits = {ENGLISH.index("3") + 4, ENGLISH.index("x1") + 4}
    assert set(np.flatnonzero(vocabulary.digits).tolist()) == digits


def test_same_is_the_other_sides_id(vocabulary: Vocabulary) -> None:
    for given, (mine, others) in enumerate(((ENGLISH, GERMAN), (GERMAN, ENGLISH))):
        wanted = [4 + others.index(word) if word in others else -1 for word in mine]
        assert vocabulary.same(given).tolist() == [-1] * 4 + wanted


def test_a_dictionary_for_both_sides_gives_its_own_ids(tmp_path: Path) -> None:
    path = write_dictionary(tmp_path / "dict.txt", ENGLISH)
    vocabulary = read_vocabulary(path, path)
    assert vocabulary.size == 4 + len(ENGLISH)
    for side in (0, 1):
        assert vocabulary.joint[side].tolist() == list(range(vocabulary.size))
        assert vocabulary.same(side).tolist() == [-1] * 4 + list(range(4, vocabulary.size))


def test_joined_pairs_have_joint_ids(vocabulary: Vocabulary) -> None:
    anna = 4 + ENGLISH.index("Anna"), 4 + GERMAN.index("Anna")
    joined = vocabulary.joined(pairs_of([[anna[0], 4], []], [[4, anna[1]], [anna[1]]]))
    joint = int(vocabulary.joint[0][anna[0]])
    assert lists_of(joined.source) == [[joint, 4], []]
    assert [some[-1] for some in lists_of(joined.target)] == [joint, joint]
    assert common_share(joined, vocabulary.size).tolist() == pytest.approx([1 / 3, 0.0])


def test_a_missing_dictionary_is_refused(tmp_path: Path) -> None:
    path = write_dictionary(tmp_path / "dict.en.txt", ENGLISH)
    with pytest.raises(FeatureError, match="cannot read dictionary .*none.*No such file"):
        read_vocabulary(path, tmp_path / "none")


def test_bins_hold_equal_shares() -> None:
    rng = np.random.default_rng(0)
    columns = rng.normal(size=8000), np.exp(rng.normal(size=8000)), np.full(8000, 3.0)
    values = np.stack(columns, axis=1).astype(np.float32)
    edges = bin_edges(values)
    assert edges.shape == (3, BINS - 1) and edges.dtype == np.float32
    found = codes(values, edges)
    assert found.shape == values.shape and found.dtype == np.uint8
    for column in (0, 1):
        counts = np.bincount(found[:, column], minlength=BINS)
        assert len(counts) == BINS and np.abs(counts - 1000).max() <= 1
        order = np.argsort(values[:, column], kind="stable")
        assert (np.diff(found[order, column].astype(int)) >= 0).all()
    assert len(set(found[:, 2].tolist())) == 1


def test_a_value_that_most_pairs_have_gets_a_bin_of_its_own() -> None:
    numbers = np.where(np.arange(8000) < 6000, NO_NUMBERS, np.arange(8000) / 8000)
    values = numbers.astype(np.float32)[:, None]
    found = codes(values, bin_edges(values))[:, 0]
    assert set(found[:6000].tolist()) == {0}
    assert np.bincount(found[6000:], minlength=BINS)[1:].min() > 200


def test_a_code_is_the_number_of_edges_not_above() -> None:
    edges = np.array([[0.0, 1.0, 1.0, 2.0]], dtype=np.float32)
    values = np.array([[-9.0], [0.0], [0.5], [1.0], [2.0], [9.0]], dtype=np.float32)
    assert codes(values, edges)[:, 0].tolist() == [0, 1, 1, 3, 4, 4]
