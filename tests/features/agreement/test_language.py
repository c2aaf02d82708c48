"""Sides in the wrong language are found in real text; names are in the right one."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from fairseq_autoassist.features.agreement.language import COPY, LARGEST, NAME, Languages, learn
from fairseq_autoassist.features.agreement.reading import Pairs
from fairseq_autoassist.features.agreement.statistics import common_share
from tests.support.agreement import pairs_of, read_words, write_words
from tests.support.corpus import multi30k_pairs

COUNT = 3000  # real pairs
TENTH = COUNT // 10
#: lines without language: names, numbers and code
NAMES = [(f"Anna{n} Kowalska{n}", f"Anna{n} Kowalska{n}") for n in range(30)]
NUMBERS = [(f"{n}.{n + 1} {n + 7000}", f"{n}.{n + 1} {n + 7000}") for n in range(30)]
CODE = [(f"x{n}=f(y{n}) return[{n}]", f"x{n}=f(y{n}) return[{n}]") for n in range(30)]
COPIED = [*NAMES, *NUMBERS, *CODE]


class Learned(NamedTuple):
    """Corpus, and what was learned from it."""

    pairs: Pairs
    copies: np.ndarray
    languages: Languages
    right: np.ndarray
    names: np.ndarray


def learned(folder: Path, pairs: list[tuple[str, str]]) -> Learned:
    """Write a data-bin of words, and learn from it as the command does."""
    raw, vocabulary = read_words(write_words(folder, pairs), len(pairs))
    joined = vocabulary.joined(raw)
    copies = common_share(joined, vocabulary.size) >= COPY
    languages = learn(joined, copies, vocabulary.size)
    return Learned(joined, copies, languages, *languages.told(joined, copies))


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Learned:
    """Real pairs, then copied lines without language.

    The first tenth has English targets of other pairs, the second tenth German sources.
    """
    real = multi30k_pairs("train", 2 * COUNT)
    pairs, others = real[:COUNT], real[COUNT:]
    for n in range(TENTH):
        pairs[n] = (pairs[n][0], others[n][0])
        pairs[TENTH + n] = (others[n][1], pairs[TENTH + n][1])
    return learned(tmp_path_factory.mktemp("noisy") / "bin", [*pairs, *COPIED])


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Learned:
    """Real pairs, a tenth of them copies of the English, and copied lines without language."""
    pairs = multi30k_pairs("train", COUNT)
    pairs[:TENTH] = [(english, english) for english, _ in pairs[:TENTH]]
    return learned(tmp_path_factory.mktemp("copied") / "bin", [*pairs, *COPIED])


def test_sides_in_the_wrong_language_are_found(noisy: Learned) -> None:
    assert noisy.right.dtype == np.float32 and noisy.right.shape == (2, noisy.pairs.count)
    assert (noisy.right[1, :TENTH] < 0.5).mean() > 0.95
    assert (noisy.right[0, TENTH : 2 * TENTH] < 0.5).mean() > 0.95


def test_sides_in_the_right_language_are_kept(noisy: Learned) -> None:
    clean = np.arange(noisy.pairs.count) >= 2 * TENTH
    clean[COUNT:] = False
    for side, wrong in ((0, slice(TENTH, 2 * TENTH)), (1, slice(0, TENTH))):
        fine = np.ones(COUNT, dtype=bool)
        fine[wrong] = False
        assert (noisy.right[side, :COUNT][fine] > 0.5).mean() > 0.995
        assert noisy.right[side, clean].mean() > 0.99


def test_the_shares_are_those_of_the_corpus(noisy: Learned) -> None:
    assert noisy.languages.shares[:, 0] == pytest.approx([0.1, 0.1], abs=0.02)


def test_a_line_without_language_gives_no_evidence(noisy: Learned) -> None:
    for side in (0, 1):
        strength = noisy.languages.strength(noisy.pairs.side(side), side)
        assert np.abs(strength[COUNT:]).max() == 0.0
        assert (strength[2 * TENTH : COUNT] > 0).mean() > 0.99
        assert (noisy.right[side, COUNT:] == 1.0).all()


def test_evidence_is_bounded_and_of_frequent_pieces(noisy: Learned) -> None:
    evidence = noisy.languages.evidence
    assert np.abs(evidence).max() == LARGEST
    assert 20 < (evidence != 0).sum() < 0.1 * len(evidence)


def test_copies_have_a_share_of_their_own(copied: Learned) -> None:
    assert copied.copies[:TENTH].all() and copied.copies[COUNT:].all()
    assert copied.copies[TENTH:COUNT].mean() < 0.01
    assert (copied.right[1, :TENTH] < 0.5).mean() > 0.95  # they are not German
    assert copied.right[1, TENTH:COUNT].mean() > 0.99
    assert copied.right[0, :TENTH].mean() > 0.95
    others, copies = copied.languages.shares[1]
    assert others < 0.02 and copies == 0.5  # clipped: three quarters of all copies are wrong
    assert (copied.right[:, COUNT:] == 1.0).all()  # names are the same in German


def test_names_are_told_from_sentences(copied: Learned) -> None:
    assert copied.names.dtype == bool and copied.names[COUNT:].all()
    assert copied.names[:COUNT].mean() < 0.01


def test_the_less_evidence_a_side_holds_the_less_it_is_judged() -> None:
    """Each target is one piece: of no evidence, of a little, of more, for the source language."""
    evidence = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 3.0, 30.0])
    languages = Languages(evidence, np.full((2, 2), 0.5))
    pairs = pairs_of(np.full((4, 1), 4), np.arange(4, 8)[:, None])
    right, names = languages.told(pairs, np.zeros(4, bool))
    assert right[0].tolist() == [1.0] * 4 and right[1, 0] == 1.0
    name = np.exp(-((1.0 / NAME) ** 2))
    assert right[1, 1] == pytest.approx(name + (1 - name) / (1 + np.e))
    assert right[1, 2] == pytest.approx(np.exp(-2.25) + (1 - np.exp(-2.25)) / (1 + np.exp(3)))
    assert right[1, 3] < 1e-6
    assert names.tolist() == [True, True, False, False]


def test_identifiers_do_not_move_to_the_language_of_their_words() -> None:
    """Signs of code are as frequent on both sides, but most identifiers hold an English word too.

    Were those moved to English, signs alone would be evidence of English.
    """
    rng = np.random.default_rng(0)
    english, russian = (rng.integers(0, 40, (4000, 12)) + first for first in (4, 44))
    signs, words = rng.integers(84, 90, (4000, 5)), rng.integers(4, 44, 4000)
    signs[:3000, 4] = words[:3000]
    pairs = pairs_of(*([*prose, *signs] for prose in (english, russian)))
    copies = np.arange(8000) >= 4000
    languages = learn(pairs, copies, 90)
    assert np.abs(languages.evidence[84:]).max() < 0.1
    assert np.abs(languages.evidence[4:84]).max() > 1.0
    right, names = languages.told(pairs, copies)
    assert names[7000:].all() and right[:, 7000:].min() > 0.99
    assert right[:, :4000].min() > 0.99


def test_most_of_a_side_may_be_in_the_wrong_language(tmp_path: Path) -> None:
    """Six tenths of the German side are English."""
    real = multi30k_pairs("train", 2 * COUNT)
    pairs, wrong = real[:COUNT], 6 * TENTH
    for n in range(wrong):
        pairs[n] = (pairs[n][0], real[COUNT + n][0])
    found = learned(tmp_path / "bin", pairs)
    assert (found.right[1, :wrong] < 0.5).mean() > 0.98
    assert (found.right[1, wrong:] > 0.5).mean() > 0.98
    assert found.right[0].mean() > 0.99


def test_shares_are_clipped(tmp_path: Path) -> None:
    """Shares lie between 1e-4, where nothing is wrong, and a half."""
    rng = np.random.default_rng(0)
    words = [rng.integers(0, 10, (4000, 12)) + first for first in (4, 20)]
    none = np.zeros(4000, dtype=bool)
    clean = learn(pairs_of(*words), none, 40)
    assert clean.shares[:, 0].tolist() == [1e-4, 1e-4]
    both = np.concatenate([words[0][:1000], words[0][:3000]])
    wrong = learn(pairs_of(words[0], np.concatenate([words[1][:3000], both[:1000]])), none, 40)
    assert wrong.shares[0, 0] < 0.01 and wrong.shares[1, 0] == pytest.approx(0.25, abs=0.01)
    assert np.isfinite(wrong.evidence).all() and wrong.shares.max() <= 0.5
