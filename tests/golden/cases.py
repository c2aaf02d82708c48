"""Runs recorded in `streams.json`: made-up pairs, scripted losses, cases for each strategy.

Only `Rank`, the flags of `FAIRSEQ` and the call of autoassist-tfidf use the package. Where the
package changes its names, they change too, and `streams.json` stays as it is.

Corpus and losses are arithmetic on ids, in numbers that float32 holds exactly. One pair in three
becomes easy during the run, and one in eight is far too hard throughout.
"""

from __future__ import annotations

import functools
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fairseq_autoassist.cli.tfidf import main as build_features
from fairseq_autoassist.config import AutoAssistConfig
from fairseq_autoassist.core.batching import BatchLimits
from fairseq_autoassist.core.prior import Prior
from fairseq_autoassist.core.protocol import PlanSpec
from fairseq_autoassist.core.resize import redistribute
from fairseq_autoassist.core.worker.client import Exchange
from fairseq_autoassist.core.worker.process import ProcessExchange
from fairseq_autoassist.features.store import Features, StoredFeatures
from fairseq_autoassist.text.lengths import pair_items
from tests.support.corpus import session_folder, write_side

PAIRS = 400
LAG = 10
SEED = 1
AHEAD = 3  # batches that the loader takes before they are trained on
LENGTH = {1: 160, 2: 100}  # micro-batches of each rank, by world size
SAVED_AT = 70  # micro-batches before a resume
RESIZED = 60  # micro-batches of each rank after a resume on another world size
IDS = np.arange(PAIRS)
EASY, TOO_HARD = IDS % 3 == 0, IDS % 8 == 5


def hashed(ids: np.ndarray, below: int) -> np.ndarray:
    """Integers in [0, below) that look random, int64, shape of ``ids``."""
    return ((ids + 1) * 2654435761 % 2**32 >> 16) % below


def sizes() -> tuple[np.ndarray, np.ndarray]:
    """Source and target tokens with EOS, int32, each of shape (PAIRS,)."""
    source = 4 + hashed(IDS, 33)
    target = np.maximum(source - 3 + hashed(IDS + PAIRS, 7), 2)
    return source.astype(np.int32), target.astype(np.int32)


def losses_of(ids: np.ndarray, number: int) -> np.ndarray:
    """Losses (nats/token) of a micro-batch, float32, shape of ``ids``: exact multiples of 1/1024.

    Losses of easy pairs fall from 3 to 0.25, those of others from 3 to 2. Losses of far too hard
    pairs stay at 6.
    """
    level = np.where(EASY[ids], max(256, 3072 - 48 * number), max(2048, 3072 - 16 * number))
    level = np.where(TOO_HARD[ids], 6144, level)
    return ((level + hashed(ids, 512) + number % 4) / 1024).astype(np.float32)


def update_of(number: int) -> float:
    """Update in which a micro-batch is trained; one overflows, so its number comes twice."""
    return float(number - (number > 30))


@dataclass(frozen=True)
class Case:
    """Settings and data of a run.

    Attributes:
        settings: fields of the config; the others have their defaults
        prior: whether the run is given one
        some: whether every ninth pair is not eligible
    """

    settings: dict[str, Any] = field(default_factory=dict)
    prior: bool = False
    some: bool = False

    @property
    def strategy(self) -> str:
        """Name of the strategy."""
        return self.settings.get("strategy", "autoassist")


# written out, not `autoassist.PAPERS_RULE`: recorded runs hold what it means
PAPER = {"lower": 1.0, "upper": 0.0, "floor": 0.0}
_EASY_FIRST = {"competence": True, "competence_start": 0.1, "competence_updates": 40}
CASES = {
    "autoassist": Case(),
    "autoassist judged": Case({"gamma_decay": 0.9, "guard_pairs": 100}),
    "autoassist paper": Case({**PAPER, "gamma_decay": 0.9, "guard_pairs": 0}),
    "autoassist easy first": Case(_EASY_FIRST),
    "autoassist prior": Case(prior=True),
    "autoassist some": Case(some=True),
    "random": Case({"strategy": "random", "keep": 0.6}),
    "uniform": Case({"strategy": "uniform"}),
    "uniform ignores prior": Case({"strategy": "uniform"}, prior=True),
    "prior": Case({"strategy": "prior"}, prior=True),
    "spl": Case({"strategy": "spl"}),
    "infobatch": Case({"strategy": "infobatch"}),
    "competence rarity": Case({"strategy": "competence", "competence_start": 0.1}),
    "competence length": Case(
        {"strategy": "competence", "competence_by": "length", "competence_updates": 60}
    ),
}
# saved at one world size, resumed at the other
RESIZES = [("autoassist", 1, 2), ("infobatch", 2, 1)]

# Strategies of fairseq-train whose batches do not depend on losses. Losses of torch differ in their
# last bits between machines, and such a bit may decide a label or a coin.
FAIRSEQ = {
    "uniform": ["--autoassist-strategy", "uniform"],
    "random": ["--autoassist-strategy", "random", "--autoassist-keep", "0.6"],
}
FAIRSEQ_UPDATES = 130  # beyond two ends of passes


class Batch(NamedTuple):
    """Micro-batch: number, ids int64 (n,), uniform marks bool (n,), weights float32 (n,)."""

    number: int
    ids: np.ndarray
    uniform: np.ndarray
    weights: np.ndarray


class Rank:
    """Rank of a run of a case.

    Args:
        case: key of `CASES`
        rank, world_size: of the data-parallel group
        state: of an earlier `state`, or from `resized`; None: the run begins
        process: plan in a worker process
    """

    def __init__(
        self,
        case: str,
        rank: int = 0,
        world_size: int = 1,
        state: dict[str, Any] | None = None,
        process: bool = False,
    ) -> None:
        chosen, folder = CASES[case], str(data_bin() / "autoassist" / "train.de-en")
        eligible = IDS[IDS % 9 != 4] if chosen.some else None
        limits = BatchLimits(max_size=200, multiple=8)
        values = np.where(IDS % 5 == 0, 0.0, 0.5 + hashed(IDS, 128) / 256).astype(np.float32)
        spec = PlanSpec(
            config=AutoAssistConfig(**chosen.settings),
            items=pair_items(*sizes(), limits, eligible, world_size),
            limits=limits,
            seed=SEED,
            lag=LAG,
            features=StoredFeatures(folder),
            dimensions=Features.open(folder).dimensions,
            prior=Prior(values, 0.01) if chosen.prior else None,
            rank=rank,
            world_size=world_size,
            max_update=LENGTH[world_size],
        )
        self._exchange = (ProcessExchange if process else Exchange)(spec, state)
        self.considered = self.kept = self.passes = 0

    def next(self) -> Batch:
        """Take the next micro-batch and its counts."""
        planned = self._exchange.next_batch()
        totals, self.passes = planned.totals, int(planned.position[0])
        self.considered, self.kept = int(totals.considered), int(totals.kept)
        pairs = planned.kept
        return Batch(planned.number, pairs["id"], pairs["uniform"], pairs["weight"])

    def report(self, batch: Batch) -> None:
        """Report the losses of a micro-batch."""
        losses = losses_of(batch.ids, batch.number)
        self._exchange.report(batch.number, losses, update_of(batch.number))

    def state(self) -> dict[str, Any]:
        """State to resume from, after all batches reported so far."""
        return self._exchange.state_dict()

    def close(self) -> None:
        """End the worker process, if there is one."""
        self._exchange.close()

    @staticmethod
    def resized(case: str, states: list[dict[str, Any]], world_size: int) -> list[dict[str, Any]]:
        """States for another world size, from the states of all ranks."""
        strategy = CASES[case].strategy
        return [redistribute(states, strategy, rank, world_size) for rank in range(world_size)]


@functools.lru_cache(maxsize=None)
def data_bin() -> Path:
    """Data-bin with features, made once a session.

    Every second word tells whether a pair is easy, too hard or neither.
    """
    folder = session_folder() / "golden"
    folder.mkdir()
    for lang, lengths in zip(("de", "en"), sizes()):
        lines = "".join(f"w{i} 1\n" for i in range(96))
        (folder / f"dict.{lang}.txt").write_text(lines, encoding="utf-8")
        pair = np.repeat(IDS, lengths)
        at = np.arange(len(pair))
        telling = np.where(EASY[pair], 80, 64) + hashed(at, 16)
        telling = np.where(TOO_HARD[pair], at % 8, telling)
        tokens = np.where(at % 2, telling, hashed(at, 64)) + 4  # behind fairseq's special symbols
        tokens[np.cumsum(lengths) - 1] = 2  # </s>
        write_side(folder / f"train.de-en.{lang}", tokens, lengths)
        few = lengths[:20]
        write_side(folder / f"valid.de-en.{lang}", tokens[: few.sum()], few)
    assert build_features([str(folder), "--no-progress"]) == 0
    return folder


def train(rank: Rank, batches: int, ahead: int = AHEAD) -> list[Batch]:
    """Train on so many micro-batches, each taken while ``ahead`` others wait before it."""
    taken: deque[Batch] = deque()
    trained = []
    for _ in range(batches):
        while len(taken) <= ahead:
            taken.append(rank.next())
        rank.report(taken[0])
        trained.append(taken.popleft())
    return trained
