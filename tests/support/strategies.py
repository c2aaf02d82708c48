"""Cases: every strategy under every setting that changes its choices, on small made-up data."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np

from fairseq_autoassist.config import AutoAssistConfig
from fairseq_autoassist.core.batching import BatchLimits
from fairseq_autoassist.core.items import Items
from fairseq_autoassist.core.planner import Planner
from fairseq_autoassist.core.prior import Prior
from fairseq_autoassist.core.protocol import PlanSpec
from fairseq_autoassist.core.strategies import (
    Choice,
    Corpus,
    Report,
    Strategy,
    TrainingPoint,
    build_strategy,
)
from fairseq_autoassist.core.strategies.autoassist import PAPERS_RULE
from fairseq_autoassist.core.stream import Stream
from fairseq_autoassist.features.prior import MappedPrior
from fairseq_autoassist.text.lengths import pair_items
from tests.support.planning import MemoryFeatures, make_sizes, make_spec

PAIRS = 400
IDS = np.arange(PAIRS)
UPDATES = 80  # updates of a run, within which strategies that read the run's length change

_DEFAULT = {"strategy": "autoassist", "gamma_decay": 0.5, "guard_pairs": 0}
_AUTOASSIST = {**_DEFAULT, **PAPERS_RULE}
CASES = {
    "uniform": {"strategy": "uniform"},
    "random": {"strategy": "random", "keep": 0.6},
    "autoassist": _AUTOASSIST,
    "autoassist by default": _DEFAULT,
    "autoassist with a floor": {**_AUTOASSIST, "floor": 0.4},
    "autoassist with a band": {**_AUTOASSIST, "lower": 0.9, "upper": 3.0},
    "autoassist that begins easily": {
        **_DEFAULT,
        "competence": True,
        "competence_start": 0.2,
        "competence_updates": 20,
    },
    "competence by length": {
        "strategy": "competence",
        "competence_by": "length",
        "competence_start": 0.2,
    },
    "competence by rarity": {
        "strategy": "competence",
        "competence_start": 0.2,
        "competence_updates": 40,
    },
    "spl": {"strategy": "spl", "spl_passes": 4.0},
    "infobatch": {"strategy": "infobatch"},
    "own-loss": {**_AUTOASSIST, "strategy": "own-loss"},
    "prior": {"strategy": "prior"},
    "autoassist with a prior": _DEFAULT,
}
WITH_PRIOR = ("prior", "autoassist with a prior")
FLOOR = 0.01


class RareFeatures(MemoryFeatures):
    """Features whose columns 0 and 1 mark easy (even) and hard (odd) pairs, and a difficulty."""

    def __init__(self, pairs: int = PAIRS, dimensions: int = 20) -> None:
        rng = np.random.default_rng(7)  # another seed than that of the sizes
        dense = np.zeros((pairs, dimensions), dtype=np.float32)
        dense[np.arange(pairs), 2 + rng.integers(0, dimensions - 2, pairs)] = 1.0
        dense[np.arange(pairs), np.arange(pairs) % 2] = 1.0
        super().__init__(dense)
        self.difficulty = rng.gamma(4.0, 5.0, pairs).astype(np.float32)


def config_of(case: str) -> AutoAssistConfig:
    """Settings of a case."""
    return AutoAssistConfig(**CASES[case])


def items_of(pairs: int = PAIRS, eligible: np.ndarray | None = None) -> Items:
    """Pairs of sentences as items."""
    return pair_items(*make_sizes(pairs), BatchLimits(max_size=300), eligible)


def corpus_of(pairs: int = PAIRS, features: bool = True) -> Corpus:
    """Items of two lengths, features and difficulty."""
    return Corpus(items_of(pairs), RareFeatures(pairs) if features else None)


def prior_of(pairs: int = PAIRS) -> Prior:
    """Prior that calls one pair in three junk, and the others more or less good."""
    ids = np.arange(pairs)
    values = np.where(ids % 3 == 0, 0.0, 0.4 + 0.6 * (ids % 7) / 6)
    return Prior(values.astype(np.float32), FLOOR)


def mapped(tmp_path: Path, pairs: int = PAIRS) -> Prior:
    """`prior_of`, from a file."""
    prior = prior_of(pairs)
    prior.values.astype("<f4").tofile(tmp_path / "prior")
    return MappedPrior(tmp_path / "prior", pairs, prior.floor, prior.sha256)


def strategy_of(case: str, pairs: int = PAIRS):
    """Strategy of a case, at the start of a run."""
    return build_strategy(config_of(case), corpus_of(pairs))


def spec_of(case: str, pairs: int = PAIRS, **named) -> PlanSpec:
    """Specification of a run of `UPDATES` under a case."""
    spec = make_spec(pairs, chunk=64, **named)
    prior = prior_of(pairs) if case in WITH_PRIOR else None
    return dataclasses.replace(spec, config=config_of(case), max_update=UPDATES, prior=prior)


def planner_of(case: str, **named) -> Planner:
    """Planner of a run of `UPDATES` under a case."""
    return Planner(spec_of(case, **named), RareFeatures())


def losses_of(ids: np.ndarray) -> np.ndarray:
    """Losses that the features explain in part, and that differ from pair to pair."""
    return (1.0 + ids % 2 + 0.3 * np.sin(ids)).astype(np.float32)


def at(share: float) -> TrainingPoint:
    """Training point after a share of a run of `UPDATES`, which takes about 8 passes."""
    return TrainingPoint(share * UPDATES, 8.0 * share, share)


START = at(0.0)


def choose(strategy: Strategy, point: TrainingPoint = START, ids=IDS) -> Choice:
    """Choice of a strategy about pairs; by default about all, at the start of a run."""
    return strategy.choose(ids, point)


def kept(strategy: Strategy, point: TrainingPoint = START, ids=IDS) -> np.ndarray:
    """P(keep) of pairs; by default of all, at the start of a run."""
    return choose(strategy, point, ids).probability


def observe(strategy: Strategy, ids, losses, point: TrainingPoint = START) -> None:
    """Report losses of uniformly kept pairs."""
    strategy.observe(Report(ids, losses, np.ones(len(ids), bool)), point)


def teach(
    strategy, reports: int = 30, seed: int = 0, losses=losses_of, point: TrainingPoint = START
) -> None:
    """Report losses of random pairs, all of them uniformly kept."""
    rng = np.random.default_rng(seed)
    for _ in range(reports):
        ids = rng.integers(0, PAIRS, 16)
        observe(strategy, ids, losses(ids), point)


def train(planner: Planner, batches: int) -> list:
    """Plan micro-batches and report each at once."""
    out = []
    for _ in range(batches):
        batch = planner.plan()
        planner.receive(batch.number, losses_of(batch.ids))
        out.append(batch)
    return out


def let_through(start, stream, prior):
    """Count, for each pair, its appearances between two positions with a coin below its prior."""
    walk, found = Stream(stream.count, stream.seed), Counter()
    walk.seek(start)
    while walk.position < stream.position:
        ids, coins = walk.take(1)
        found.update(ids[coins < prior.of(ids)].tolist())
    return found
