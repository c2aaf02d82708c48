"""Cost of learning from a report, which should not depend on the number of dimensions."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

import numpy as np

from fairseq_autoassist.core.assistant import Assistant
from fairseq_autoassist.core.strategies.autoassist import AutoAssistOptions
from fairseq_autoassist.features.store import Features

from .bench_features import NONZEROS, write_features
from .measure import Result, at_most, core_clock, informative

SMALL, LARGE = 10_000, 1_000_000  # dimensions
RATIO_TARGET = 1.2
PAIRS = 100  # of a report


def learn_ratio(rows: int = 100_000, reports: int = 2000) -> list[Result]:
    """Ratio of the time of a report at LARGE to that at SMALL dimensions, by medians.

    Reports of the two alternate. Columns are as frequent as words are in text. A second figure is
    for information: its columns are drawn evenly, so that LARGE weights leave the inner caches.
    """
    small, large = _times(rows, reports, zipf=True)
    even_small, even_large = _times(rows, reports, zipf=False)
    what = f"learning: a report of {PAIRS} pairs, {NONZEROS} non-zeros each"
    return [
        informative(f"{what}, {SMALL:,} dimensions", 1e6 * small, "us"),
        informative(f"{what}, {LARGE:,} dimensions", 1e6 * large, "us"),
        at_most("learning: ratio of the two times", large / small, "x", RATIO_TARGET),
        informative("learning: that ratio, columns drawn evenly", even_large / even_small, "x"),
    ]


def _times(rows: int, reports: int, zipf: bool) -> list[float]:
    """Median seconds of a report at SMALL and at LARGE dimensions."""
    options = AutoAssistOptions()
    rng = np.random.default_rng(7)
    with tempfile.TemporaryDirectory() as name:
        features = [write_features(Path(name) / str(d), rows, d, zipf) for d in (SMALL, LARGE)]
        assistants = [Assistant(f.dimensions, options.eta, options.weight_decay) for f in features]
        times: list[list[float]] = [[], []]
        for report in range(reports):
            ids, positive = rng.integers(0, rows, PAIRS), rng.random(PAIRS) > 0.5
            for i in (0, 1) if report % 2 else (1, 0):
                began = core_clock()
                _learn(assistants[i], features[i], ids, positive)
                times[i].append(core_clock() - began)
    return [statistics.median(mine[reports // 10 :]) for mine in times]


def _learn(assistant: Assistant, features: Features, ids: np.ndarray, positive: np.ndarray) -> None:
    """Learn from a report as the strategy's ``observe`` does."""
    rows = features.gather(ids)
    assistant.learn(rows, positive, assistant.predict_rows(rows, ids))
