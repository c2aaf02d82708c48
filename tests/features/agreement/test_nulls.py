"""Pairs that are made as no translations: the target is from nearby and about as long."""

from __future__ import annotations

import numpy as np

from fairseq_autoassist.features.agreement.nulls import (
    FARTHEST,
    NEAREST,
    junk,
    neighbours,
    of_own_kind,
)
from fairseq_autoassist.features.agreement.reading import Pairs
from tests.support.agreement import pairs_of

RUNS = np.repeat(np.arange(5), (1024, 1024, 25, 700, 24))


def drawn(count: int = len(RUNS)) -> Pairs:
    rng = np.random.default_rng(0)
    targets = [np.full(length, 5) for length in rng.integers(1, 40, count)]
    return pairs_of([[4]] * count, targets)


def test_a_neighbour_stands_nearby_in_the_same_run() -> None:
    for seed in range(150):  # what happens at the end of a run is random
        chosen = neighbours(drawn(), RUNS, seed)
        away = np.abs(chosen - np.arange(len(RUNS)))
        assert np.array_equal(RUNS[chosen], RUNS)
        assert away.min() == NEAREST and away.max() == FARTHEST


def test_a_neighbour_is_about_as_long() -> None:
    pairs = drawn()
    lengths = np.log(pairs.target.lengths + 1.0)
    found = np.abs(lengths[neighbours(pairs, RUNS, 1)] - lengths)
    any_other = np.abs(np.roll(lengths, 5) - lengths)
    assert found.mean() < 0.35 * any_other.mean()
    assert found.max() < any_other.max()


def test_neighbours_are_those_of_the_seed() -> None:
    pairs = drawn()
    chosen = neighbours(pairs, RUNS, 1)
    assert np.array_equal(chosen, neighbours(pairs, RUNS, 1))
    others = neighbours(pairs, RUNS, 2)
    assert (chosen != others).mean() > 0.5
    steps = chosen - np.arange(len(RUNS))
    assert abs((steps > 0).mean() - 0.5) < 0.05 and len(set(np.abs(steps).tolist())) == 11


def test_a_run_too_short_for_neighbours_gets_other_targets() -> None:
    """The last run of a data-bin may be one pair."""
    runs = np.repeat(np.arange(4), (1, 2, 3, 1000))
    chosen = neighbours(drawn(len(runs)), runs, 0)
    assert (chosen != np.arange(len(runs))).all()
    assert chosen[3] == 5 and chosen[5] == 3
    assert 0 <= chosen.min() and chosen.max() < len(runs)


def test_names_get_a_name_where_few_have_one_nearby() -> None:
    names = np.zeros(len(RUNS), bool)
    names[::15] = True  # farther apart than a neighbour may be
    chosen = of_own_kind(drawn(), RUNS, names, 0)
    long = names & (RUNS < 2)
    assert names[chosen][names].all() and np.array_equal(RUNS[chosen][long], RUNS[long])
    places = np.cumsum(names)  # of the names among the names
    away = np.abs(places[chosen] - places)[long]
    assert away.min() == NEAREST and away.max() == FARTHEST
    near = neighbours(drawn(), RUNS, 0)
    assert np.array_equal(chosen[~names], near[~names])
    names = np.arange(len(RUNS)) % 300 < 20  # many have one nearby, but not enough for a fit
    assert 20 < (names & names[near]).sum() < 200
    assert names[of_own_kind(drawn(), RUNS, names, 0)][names].all()


def test_names_that_have_names_nearby_keep_their_neighbours() -> None:
    names = np.random.default_rng(1).random(len(RUNS)) < 0.5
    near = neighbours(drawn(), RUNS, 0)
    assert np.array_equal(of_own_kind(drawn(), RUNS, names, 0), near)


def test_mixed_pairs_and_equal_names_are_no_examples_of_junk() -> None:
    pairs = pairs_of([[4], [5], [6], [7, 8], [9, 7]], [[5], [4], [6], [7, 9], [7, 8]])
    names = np.array([True, True, True, False, False])
    #: a name with an equal one, with another, with a sentence; a sentence with a name, with a copy
    others = np.array([1, 2, 3, 0, 3])
    assert junk(pairs, names, others, 10).tolist() == [False, True, False, False, True]


def test_pairs_that_repeat_a_side_are_no_examples_of_junk() -> None:
    """Boilerplate of crawled pages stands many times near itself."""
    pairs = pairs_of([[4, 5], [4, 5], [6], [6, 4], []], [[7, 8], [7, 9], [7, 9], [7, 9], [7]])
    names = np.zeros(5, bool)
    #: the same source, the same target, both another, the same target, the pair itself
    others = np.array([1, 3, 0, 2, 4])
    assert junk(pairs, names, others, 10).tolist() == [False, False, True, False, False]
