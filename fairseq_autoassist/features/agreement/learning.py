"""Learning of a judge from a sample of pairs, in rounds of lexicon, nulls and two groups."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Sequence

import numpy as np

from ...errors import FeatureError
from ...text.corpus import Shard
from ..workers import Crew
from . import evidence
from .language import COPY, Languages, learn
from .lexicon import ITERATIONS
from .nulls import junk, of_own_kind, reordered, shifted
from .passes import CHUNK, Judge, fit_lexicon, measure_sample, statistics
from .reading import Pairs, drawn_runs, halves, read_runs
from .statistics import Vocabulary, bin_edges, common_share, length_ratio
from .twogroups import fit

SAMPLE = 500_000  # most pairs to learn from
ROUNDS = 2  # the second weighs pairs by the posterior of the first
SEED = 20190
_ALL_COPIES = 0.95


def draw(shards: Sequence[Shard], sample: int, vocabulary: Vocabulary) -> tuple[Pairs, np.ndarray]:
    """Draw the pairs to learn from; returns them, and the number of the run of each.

    Raises:
        FeatureError: a side has no pieces, or both sides are the same corpus
    """
    sizes = len(vocabulary.joint[0]), len(vocabulary.joint[1])
    runs = drawn_runs([shard.rows for shard in shards], sample, SEED)
    pairs, numbers = read_runs(shards, runs, sizes)
    for name, side in (("source", pairs.source), ("target", pairs.target)):
        if not len(side.pieces):
            raise FeatureError(
                f"the {name} side of {shards[0].data_bin} has no words in {pairs.count} pairs, "
                "expected sentences; run fairseq-preprocess again on text that is not empty"
            )
    same = float((common_share(vocabulary.joined(pairs), vocabulary.size) == 1.0).mean())
    if same >= _ALL_COPIES:
        raise FeatureError(
            f"source and target of {shards[0].data_bin} have the same words in {same:.0%} of the "
            "pairs, expected translations; run fairseq-preprocess again with the right "
            "--source-lang and --target-lang"
        )
    return pairs, numbers


def learn_judge(
    pairs: Pairs, runs: np.ndarray, vocabulary: Vocabulary, folder: Path, crew: Crew
) -> Judge:
    """Learn from the sample; the lexicons are written to ``folder``.

    Args:
        pairs: the sample
        runs: number of each pair's run
        vocabulary: of both sides
        folder: an empty one, for files of the workers
        crew: workers
    """
    joined = vocabulary.joined(pairs)
    copies = common_share(joined, vocabulary.size) >= COPY
    languages = learn(joined, copies, vocabulary.size)
    right, names = languages.told(joined, copies)
    others = of_own_kind(pairs, runs, names, SEED)
    pairs.save(folder)
    np.save(folder / "neighbours.npy", others)
    np.save(folder / "halves.npy", halves(pairs.source))
    weights = right[0] * right[1]
    made_weights = right[0] * right[1][others] * junk(joined, names, others, vocabulary.size)
    shorter = np.minimum(pairs.source.lengths, pairs.target.lengths)
    lengths = shorter, np.minimum(pairs.source.lengths, pairs.target.lengths[others])
    posterior = weights
    for number in range(ROUNDS):
        # four lexicons may take 1 GiB
        shutil.rmtree(folder / f"round{number - 1}", ignore_errors=True)
        places = folder, folder / f"round{number}"
        places[1].mkdir()
        np.save(places[1] / "weights.npy", posterior)
        _fit_lexicons(pairs, vocabulary, places, crew, f"learning {number + 1}/{ROUNDS}")
        gains = _measure(pairs.count, places, crew, f"measuring {number + 1}/{ROUNDS}")
        groups = fit(gains, lengths, (weights, made_weights), names)
        posterior = groups.posterior(gains[0], shorter, names) * weights
    usual = float(np.median(length_ratio(pairs)))
    told = _evidence(pairs, runs, vocabulary, usual, posterior)
    edges = _edges(pairs, vocabulary, languages, usual, places[1])
    return Judge(vocabulary, languages, groups, told, usual, edges, places[1])


def _evidence(
    pairs: Pairs, runs: np.ndarray, vocabulary: Vocabulary, usual: float, posterior: np.ndarray
) -> evidence.Evidence:
    """Learn the evidence of numbers and lengths."""
    made = Pairs(pairs.source, reordered(pairs.target, shifted(runs)))
    numbers, lengths = [], []
    for some in (pairs, made):
        joined = vocabulary.joined(some)
        numbers.append(common_share(joined, vocabulary.size, vocabulary.digits))
        lengths.append(np.abs(length_ratio(some) - usual))
    return evidence.learn((numbers[0], numbers[1]), (lengths[0], lengths[1]), posterior)


def _fit_lexicons(
    pairs: Pairs, vocabulary: Vocabulary, places: tuple[Path, Path], crew: Crew, label: str
) -> None:
    sizes = len(vocabulary.joint[0]), len(vocabulary.joint[1])
    same = [vocabulary.same(given) for given in (0, 1)]
    tasks = [(*places, half, given, sizes, same[given]) for half in (0, 1) for given in (0, 1)]
    about = [ITERATIONS * pairs.count // 2] * len(tasks)
    for _ in crew.run(label, fit_lexicon, tasks, about):
        pass


def _measure(
    count: int, places: tuple[Path, Path], crew: Crew, label: str
) -> tuple[np.ndarray, np.ndarray]:
    """Measure the lower information of the observed and of the made pairs, float32 (n,) each."""
    bounds = [(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)]
    found = np.empty((2, count), dtype=np.float32)
    sizes = [stop - start for start, stop in bounds]
    tasks = [(*places, *bound) for bound in bounds]
    for number, lows in crew.run(label, measure_sample, tasks, sizes):
        found[:, slice(*bounds[number])] = lows
    return found[0], found[1]


def _edges(
    pairs: Pairs, vocabulary: Vocabulary, languages: Languages, usual: float, lexicons: Path
) -> np.ndarray:
    """Edges of the bins of every statistic: quantiles of pairs spread over the whole sample."""
    ids = np.linspace(0, pairs.count - 1, min(CHUNK, pairs.count)).astype(np.int64)
    some = Pairs(reordered(pairs.source, ids), reordered(pairs.target, ids))
    return bin_edges(statistics(lexicons, some, vocabulary, languages, usual))
