"""Evidence of numbers and lengths: it counts against a pair where they differ, never for it."""

from __future__ import annotations

import numpy as np
import pytest

from fairseq_autoassist.features.agreement.evidence import LENGTH_SHARES, learn
from fairseq_autoassist.features.agreement.statistics import NO_NUMBERS

COUNT = 1000


def values(*parts: tuple[float, int]) -> np.ndarray:
    """Array with each value so many times."""
    return np.repeat([value for value, _ in parts], [count for _, count in parts])


def test_the_ratio_is_that_of_the_shares_with_one_pair_more_in_each_bin() -> None:
    numbers = values((0.0, 100), (1.0, 900)), values((0.0, 900), (1.0, 100))
    lengths = np.zeros(COUNT), np.zeros(COUNT)
    found = learn(numbers, lengths, np.ones(COUNT))
    against = found.against(np.array([0.0, 1.0, NO_NUMBERS]), np.zeros(3))
    assert against == pytest.approx([np.log(101 / 901), 0.0, 0.0])


def test_pairs_count_by_their_posterior() -> None:
    numbers = values((0.0, 500), (1.0, 500)), values((0.0, 500), (1.0, 500))
    lengths = np.zeros(COUNT), np.zeros(COUNT)
    junk_first = np.repeat([0.0, 1.0], 500)
    even = learn(numbers, lengths, np.ones(COUNT)).against(np.zeros(1), np.zeros(1))
    told = learn(numbers, lengths, junk_first).against(np.zeros(1), np.zeros(1))
    assert even == pytest.approx([0.0]) and told[0] < -5


def test_unusual_lengths_count_against_a_pair_and_usual_ones_not_for_it() -> None:
    rng = np.random.default_rng(0)
    lengths = np.abs(rng.normal(0, 0.2, COUNT)), np.abs(rng.normal(0, 1.0, COUNT))
    numbers = np.full(COUNT, NO_NUMBERS), np.full(COUNT, NO_NUMBERS)
    found = learn(numbers, lengths, np.ones(COUNT))
    against = found.against(np.full(3, NO_NUMBERS), np.array([0.0, 0.45, 3.0]))
    assert against[0] == 0.0 and against[2] < against[1] < 0.0
    assert len(found.length_edges) == len(LENGTH_SHARES)


def test_lengths_that_are_all_alike_are_no_evidence() -> None:
    same = np.zeros(COUNT)
    found = learn((same - 1, same - 1), (same, same), np.ones(COUNT))
    assert found.against(np.array([NO_NUMBERS]), np.array([0.0])) == pytest.approx([0.0])
