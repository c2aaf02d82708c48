"""Tasks of workers: fit a lexicon, measure the sample, judge a range of pairs."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit

from ..workers import Done
from .evidence import Evidence
from .language import COPY, Languages
from .lexicon import Lexicon, fit, information
from .nulls import reordered
from .reading import Pairs, halves, read_pairs
from .statistics import Vocabulary, codes, common_share, length_ratio
from .twogroups import TwoGroups

CHUNK = 1 << 16  # pairs judged at once, by any number of workers
POWER = 2  # the prior is the posterior to this power, which lowers doubtful pairs
LEAST = 1e-6  # of a prior, which is above 0
_TINY = 1e-9
_WEIGHTLESS = 0.1  # the lexicon does not learn from pairs of less weight


class Judge(NamedTuple):
    """Learned models that tell junk from translations.

    Attributes:
        vocabulary: of both sides
        languages: models of both languages
        groups: share of junk by length, of text and of names
        evidence: of numbers and lengths
        usual_ratio: median of ln of target over source pieces
        edges: of the bins of the statistics, float32 (statistics, bins - 1)
        lexicons: folder of the lexicons of the last round
    """

    vocabulary: Vocabulary
    languages: Languages
    groups: TwoGroups
    evidence: Evidence
    usual_ratio: float
    edges: np.ndarray
    lexicons: Path


class Verdict(NamedTuple):
    """Verdict on pairs [start, start + n) of a shard.

    Attributes:
        prior: float32 (n,), in (0, 1]
        codes: bins of the statistics, uint8 (n, statistics)
        low: lower information of both directions, nats per piece, float32 (n,)
        copies: bool (n,)
        wrong: bool (2, n): source or target is in the wrong language
    """

    prior: np.ndarray
    codes: np.ndarray
    low: np.ndarray
    copies: np.ndarray
    wrong: np.ndarray


def lexicon_folder(folder: Path, half: int, given: int) -> Path:
    """Folder of the lexicon of half ``half``, for the direction from side ``given``."""
    return folder / f"lexicon{half}{given}"


def fit_lexicon(
    folder: Path,
    lexicons: Path,
    half: int,
    given: int,
    vocabularies: tuple[int, int],
    same: np.ndarray,
    done: Done = lambda pairs: None,
) -> None:
    """Learn a lexicon from one half of the sample in ``folder``, and write it to ``lexicons``.

    That folder is of one round, and has the weights of its pairs. A cluster may run a task twice.
    Each run writes to a folder of its own, and the first to end renames it.
    """
    weights = np.load(lexicons / "weights.npy")
    halved = np.load(folder / "halves.npy", "r")
    weights[(halved != half) | (weights < _WEIGHTLESS)] = 0.0
    found = fit(Pairs.load(folder), given, vocabularies, weights, same, done=done)
    target = lexicon_folder(lexicons, half, given)
    written = Path(tempfile.mkdtemp(prefix=target.name + ".", dir=lexicons))
    try:
        found.save(written / "new")
        (written / "new").rename(target)
    except OSError:
        if not target.exists():
            raise
    finally:
        shutil.rmtree(written, ignore_errors=True)


def measure_sample(
    folder: Path, lexicons: Path, start: int, stop: int, done: Done = lambda pairs: None
) -> tuple[np.ndarray, np.ndarray]:
    """Measure the lower information of pairs [start, stop) of the sample and of pairs made of them.

    Returns:
        both as float32 (stop - start,), nats per piece
    """
    pairs = Pairs.load(folder)
    ids = np.arange(start, stop)
    others = np.load(folder / "neighbours.npy", "r")[start:stop]
    source = reordered(pairs.source, ids)
    halved = np.load(folder / "halves.npy", "r")[start:stop]
    lows = []
    for target in (ids, others):
        measured = _information(lexicons, Pairs(source, reordered(pairs.target, target)), halved)
        lows.append(measured[:2].min(0))
        done((stop - start) // 2)
    return lows[0], lows[1]


def _information(lexicons: Path, pairs: Pairs, halved: np.ndarray) -> np.ndarray:
    """Measure gain about the target, about the source, and coverage of both: float32 (4, n).

    Each pair is measured with the lexicon of the other half of the corpus.
    """
    found = np.empty((4, pairs.count), dtype=np.float32)
    for half in (0, 1):
        mine = np.flatnonzero(halved != half)
        sides = [reordered(pairs.side(n), mine) for n in (0, 1)]
        for given in (0, 1):
            lexicon = Lexicon.open(lexicon_folder(lexicons, half, given))
            told = information(lexicon, sides[given], sides[1 - given])
            found[given, mine], found[2 + given, mine] = told
    return found


def judge_pairs(
    paths: tuple[Path, Path],
    start: int,
    stop: int,
    judge: Judge,
    done: Done = lambda pairs: None,
) -> Verdict:
    """Judge pairs [start, stop) of a data-bin.

    Args:
        paths: both sides' paths without ``.idx``
        judge: learned from the sample
    """
    joint = judge.vocabulary.joint
    pairs = read_pairs(paths, start, stop, (len(joint[0]), len(joint[1])))
    learned = judge.vocabulary, judge.languages, judge.usual_ratio
    values = statistics(judge.lexicons, pairs, *learned)
    low = values[:, :2].min(1)
    copies = values[:, 4] >= COPY
    right, names = judge.languages.told(judge.vocabulary.joined(pairs), copies)
    lengths = np.minimum(pairs.source.lengths, pairs.target.lengths)
    odds = logit(np.clip(judge.groups.posterior(low, lengths, names), _TINY, 1.0 - _TINY))
    odds += judge.evidence.against(values[:, 6], values[:, 5])
    prior = (expit(odds) * right[0] * right[1]) ** POWER
    done(stop - start)
    prior = np.clip(prior, LEAST, 1.0).astype(np.float32)
    return Verdict(prior, codes(values, judge.edges), low, copies, right < 0.5)


def statistics(
    lexicons: Path, pairs: Pairs, vocabulary: Vocabulary, languages: Languages, usual_ratio: float
) -> np.ndarray:
    """Compute every statistic of `statistics.NAMES`, in that order: float32 (n, statistics)."""
    told = _information(lexicons, pairs, halves(pairs.source))
    joined = vocabulary.joined(pairs)
    columns = [
        *told,
        common_share(joined, vocabulary.size),
        np.abs(length_ratio(pairs) - usual_ratio),
        common_share(joined, vocabulary.size, vocabulary.digits),
        languages.strength(joined.source, 0),
        languages.strength(joined.target, 1),
    ]
    return np.stack(columns, axis=1).astype(np.float32)
