"""Rates of deciding on pairs and of batching them: score, coin and buckets, on one core."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

import numpy as np

from fairseq_autoassist.config import AutoAssistConfig
from fairseq_autoassist.core.batching import BatchLimits
from fairseq_autoassist.core.items import Items
from fairseq_autoassist.core.planner import Planner
from fairseq_autoassist.core.protocol import PlanSpec
from fairseq_autoassist.core.strategies import Corpus, Report, TrainingPoint
from fairseq_autoassist.core.strategies.autoassist import AutoAssist, AutoAssistOptions
from fairseq_autoassist.core.stream import Stream
from fairseq_autoassist.features.store import StoredFeatures
from fairseq_autoassist.text.lengths import pair_items

from .bench_features import CHUNK, LOOP_TARGET, NONZEROS, plain_arrays, score_one, write_features
from .measure import REPEATS, Result, at_least, core_clock, informative

DECIDE_TARGET = 5_000_000  # pairs/s: score and coin
PLAN_TARGET = 1_000_000  # pairs/s considered: up to finished batches
MAX_TOKENS = 4096  # of a batch
MEAN_LENGTH = 28  # tokens a side, as in WMT
LAG = 32  # micro-batches between a batch and its report
_REPORTS = 200  # learned from before anything is timed
# shrinking starts at once, without the guard: the losses here are random
_CONFIG = AutoAssistConfig(gamma_decay=0.5, guard_pairs=0)
_OPTIONS = AutoAssistOptions(gamma_decay=0.5, guard_pairs=0)
_POINT = TrainingPoint(0.0, 0.0, 0.0)


def decide_rate(rows: int = 1_000_000, looped: int = 20_000) -> list[Result]:
    """Pairs decided on per second over whole passes, their order and coins included.

    The calls alternate with a loop that decides on the same data pair by pair.
    """
    with tempfile.TemporaryDirectory() as name:
        strategy = AutoAssist(_OPTIONS, Corpus(Items(rows), write_features(Path(name), rows)))
        _teach(strategy, rows)
        stream = Stream(rows, seed=1)
        arrays, weights = plain_arrays(Path(name)), strategy.assistant.weights
        ids = np.random.default_rng(2).integers(0, rows, looped).tolist()
        rates, loop_rates = [], []
        for _ in range(REPEATS + 1):  # the first call warms the caches
            began = core_clock()
            kept = _decide_pass(strategy, stream, rows)
            rates.append(rows / (core_clock() - began))
            coins = np.random.default_rng(3).random(looped).tolist()
            began = core_clock()
            _decide_in_loop(arrays, weights, strategy.gamma(_POINT), ids, coins)
            loop_rates.append(looped / (core_clock() - began))
    rate, loop_rate = statistics.median(rates[1:]), statistics.median(loop_rates[1:])
    what = f"deciding: score and coin, {NONZEROS} non-zeros a pair"
    return [
        at_least(what, rate, "pairs/s", DECIDE_TARGET),
        informative("deciding: a loop over pairs", loop_rate, "pairs/s"),
        at_least("deciding: ratio to a loop over pairs", rate / loop_rate, "x", LOOP_TARGET),
        informative("deciding: share of pairs kept", kept / rows, ""),
    ]


def plan_rate(rows: int = 1_000_000) -> list[Result]:
    """Pairs considered per second, from the stream to finished batches; each repeat is a pass.

    One figure is of planning alone. In the other the Assistant also learns from every batch.
    """
    with tempfile.TemporaryDirectory() as name:
        write_features(Path(name), rows)
        planner = Planner(_spec(rows, name))
        losses = np.random.default_rng(4).gamma(4.0, 0.5, 1 << 16).astype(np.float32)
        _plan(planner, losses, _REPORTS * MAX_TOKENS // MEAN_LENGTH)
        rates: dict[bool, list[float]] = {False: [], True: []}
        for _ in range(REPEATS):
            for learns, mine in rates.items():
                mine.append(_plan(planner, losses if learns else None, rows))
    plain, learning = statistics.median(rates[False]), statistics.median(rates[True])
    return [
        at_least("planning: to finished batches, considered", plain, "pairs/s", PLAN_TARGET),
        informative("planning: the same, learning from every batch", learning, "pairs/s"),
    ]


def _teach(strategy: AutoAssist, rows: int) -> None:
    rng = np.random.default_rng(5)
    for _ in range(_REPORTS):
        ids, losses = rng.integers(0, rows, 100), rng.gamma(4.0, 0.5, 100).astype(np.float32)
        strategy.observe(Report(ids, losses, np.ones(100, bool)), _POINT)
    assert strategy.gamma(_POINT) > 0.0


def _decide_pass(strategy: AutoAssist, stream: Stream, rows: int) -> int:
    """Decide on a pass as the planner does; returns the number of pairs kept."""
    considered = kept = 0
    while considered < rows:
        ids, coins = stream.take(CHUNK)
        keep = coins < strategy.choose(ids, _POINT).probability
        considered += len(ids)
        kept += int(np.count_nonzero(keep))
    return kept


def _decide_in_loop(
    arrays: tuple[np.ndarray, ...],
    weights: np.ndarray,
    gamma: float,
    ids: list[int],
    coins: list[float],
) -> list[int]:
    kept = []
    for i, coin in zip(ids, coins):
        useful = 1.0 / (1.0 + float(np.exp(-score_one(arrays, weights, i))))
        if coin < max(_OPTIONS.floor, 1.0 - gamma + gamma * useful):
            kept.append(i)
    return kept


def _sizes(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Tokens of each source and target, int32."""
    rng = np.random.default_rng(6)
    source = np.clip(rng.gamma(3.0, MEAN_LENGTH / 3.0, rows), 2, 200)
    target = np.clip(source * rng.normal(1.0, 0.15, rows), 2, 250)
    return source.astype(np.int32), target.astype(np.int32)


def _spec(rows: int, features: str) -> PlanSpec:
    limits = BatchLimits(max_size=MAX_TOKENS, multiple=8)
    return PlanSpec(
        config=_CONFIG,
        items=pair_items(*_sizes(rows), limits),
        limits=limits,
        seed=1,
        lag=LAG,
        features=StoredFeatures(features),
    )


def _plan(planner: Planner, losses: np.ndarray | None, pairs: int) -> float:
    """Plan until so many more pairs are considered; returns pairs per second.

    Every batch is reported at once, with losses by pair id or with none.
    """
    batch = planner.plan()
    planner.receive(batch.number, None)
    first = batch.totals.considered
    began = core_clock()
    while batch.totals.considered < first + pairs:
        batch = planner.plan()
        known = None if losses is None else losses[batch.ids % len(losses)]
        planner.receive(batch.number, known)
    return (batch.totals.considered - first) / (core_clock() - began)
