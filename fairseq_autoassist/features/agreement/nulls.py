"""Nulls: pairs that are no translations, made from the corpus as examples of its junk."""

from __future__ import annotations

import numpy as np

from .reading import Pairs, Sentences
from .statistics import common_share
from .twogroups import LEAST_PAIRS

NEAREST, FARTHEST = 2, 12  # distances of a neighbour
_STEP = 5
_TRIES = 8  # neighbours whose lengths are compared


def neighbours(pairs: Pairs, runs: np.ndarray, seed: int) -> np.ndarray:
    """Choose for each pair one nearby, whose target has about the same length: int64 (n,).

    Neighbours share names and topic, as misaligned pairs of a document do. In a shuffled corpus
    they are unrelated. A run that is too short gets a pair of another run.

    Args:
        pairs: in the order of the corpus
        runs: number of the run of each pair; a neighbour comes from the same run
        seed: of the choice among neighbours of about the same length
    """
    count = pairs.count
    rng = np.random.Generator(np.random.Philox(key=seed))
    lengths = np.log(pairs.target.lengths + 1.0).astype(np.float32)
    best = np.full(count, np.inf, dtype=np.float32)
    here = np.arange(count)
    chosen = (here + NEAREST) % max(count, 1)
    for _ in range(_TRIES):
        step = rng.integers(NEAREST, FARTHEST + 1, count) * rng.choice([-1, 1], count)
        step = np.where(_inside(here + step, runs), step, -step)  # the other way at an end
        inside = _inside(here + step, runs)
        other = np.where(inside, here + step, here)
        distance = np.abs(lengths[other] - lengths) + 0.2 * rng.random(count, dtype=np.float32)
        distance[~inside] = np.inf
        closer = distance < best
        best[closer], chosen[closer] = distance[closer], other[closer]
    return chosen


def of_own_kind(pairs: Pairs, runs: np.ndarray, names: np.ndarray, seed: int) -> np.ndarray:
    """Choose a neighbour of each pair, and see that enough names get a name: int64 (n,).

    Near names are the better examples, since they have more in common. Where they are too few for a
    fit, as in a shuffled corpus, each name gets a neighbour among all names.

    Args:
        pairs, runs, seed: see `neighbours`
        names: bool (n,), whether a pair is one of names
    """
    chosen = neighbours(pairs, runs, seed)
    if (names & names[chosen]).sum() < LEAST_PAIRS:
        ids = np.flatnonzero(names)
        some = Pairs(reordered(pairs.source, ids), reordered(pairs.target, ids))
        chosen[ids] = ids[neighbours(some, runs[ids], seed)]
    return chosen


def junk(joined: Pairs, names: np.ndarray, others: np.ndarray, vocabulary: int) -> np.ndarray:
    """Tell which made pairs are examples of junk: bool (n,).

    A name with a sentence is an example of neither kind. Two equal names are no junk. Nor is a
    made pair whose two pairs have the same source or the same target: it is one of these pairs.

    Args:
        joined: the pairs, with joint ids of pieces
        names: bool (n,), whether a pair is one of names
        others: for each source the pair whose target it gets, int64 (n,)
        vocabulary: number of joint ids
    """
    made = Pairs(joined.source, reordered(joined.target, others))
    equal = common_share(made, vocabulary) == 1.0
    shared = _repeats(joined.source, others) | _repeats(joined.target, others)
    return (names == names[others]) & ~(names & equal) & ~shared


def _repeats(side: Sentences, others: np.ndarray) -> np.ndarray:
    """Tell whether each sentence is the same as its other one: bool (n,)."""
    same = side.lengths == side.lengths[others]
    ids = np.flatnonzero(same)
    own, other = reordered(side, ids), reordered(side, others[ids])
    different = own.rows[own.pieces != other.pieces]
    same[ids] = np.bincount(different, minlength=len(ids)) == 0
    return same


def shifted(runs: np.ndarray) -> np.ndarray:
    """Choose for each pair another one of its run, of any length: int64 (n,).

    The targets of `neighbours` have about the right length. These show how often lengths match by
    chance.

    Args:
        runs: number of the run of each pair
    """
    ids = np.arange(len(runs))
    return np.where(_inside(ids + _STEP, runs), ids + _STEP, np.maximum(ids - _STEP, 0))


def _inside(others: np.ndarray, runs: np.ndarray) -> np.ndarray:
    """Tell whether each pair's other one exists and is of the same run: bool (n,)."""
    near = np.clip(others, 0, len(runs) - 1)
    return (near == others) & (runs[near] == runs)


def reordered(side: Sentences, ids: np.ndarray) -> Sentences:
    """Take sentences ``ids`` of a side, in that order."""
    lengths = side.lengths[ids]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    place = np.arange(int(offsets[-1])) + np.repeat(side.offsets[ids] - offsets[:-1], lengths)
    return Sentences(side.pieces[place], offsets)
