"""Default rule: learned pairs and far too hard pairs are skipped, down to the floor."""

import numpy as np
import pytest
import scipy.sparse as sp

from fairseq_autoassist.config import AutoAssistConfig
from fairseq_autoassist.core.labels import Band, labels
from fairseq_autoassist.core.strategies import Corpus, Report, build_strategy
from fairseq_autoassist.core.strategies.autoassist import PAPERS_RULE
from tests.support.strategies import (
    PAIRS,
    START,
    RareFeatures,
    corpus_of,
    items_of,
    kept,
    observe,
    teach,
)

IDS = np.arange(PAIRS)
FAST = {"gamma_decay": 0.95, "guard_pairs": 0}


def three_kinds(ids):
    """Losses of learned, useful and far too hard pairs, a third each; T_k is then about 2."""
    return np.array([0.1, 2.0, 4.0], np.float32)[ids % 3]


class KindFeatures(RareFeatures):
    """Features whose first three columns tell the kind of a pair."""

    def __init__(self, pairs=PAIRS):
        super().__init__(pairs)
        dense = np.zeros(self.matrix.shape, dtype=np.float32)
        dense[np.arange(pairs), np.arange(pairs) % 3] = 1.0
        self.matrix = sp.csr_array(dense)


def taught_kinds(losses=three_kinds, **settings):
    strategy = build_strategy(
        AutoAssistConfig(**{**FAST, **settings}),
        Corpus(items_of(), KindFeatures()),
    )
    teach(strategy, 200, losses=losses)
    return strategy


def kept_by_kind(strategy):
    probability = kept(strategy)
    return [float(probability[IDS % 3 == kind].mean()) for kind in range(3)]


def test_by_default_pairs_neither_learned_nor_far_too_hard_are_preferred():
    learned, useful, too_hard = kept_by_kind(taught_kinds())
    assert learned == pytest.approx(0.3) and too_hard == pytest.approx(0.3)  # the floor
    assert useful > 0.9
    # the paper's rule skips the first two kinds and keeps the third
    learned, useful, too_hard = kept_by_kind(taught_kinds(**PAPERS_RULE))
    assert max(learned, useful) < 0.6 and learned < 0.2 and too_hard > 0.9


def test_the_defaults_labels_are_those_of_its_band():
    config = AutoAssistConfig()
    losses = np.array([0.59, 0.61, 2.0, 2.49, 2.51])
    labelled = labels(losses, 2.0, Band(config.lower, config.upper))
    np.testing.assert_array_equal(labelled, [False, True, True, True, False])


def test_while_the_loss_falls_faster_than_the_threshold_nothing_is_skipped_by_default():
    """Nearly all labels are 1 then, so the Assistant is no better than the majority class."""
    strategy = taught_kinds(guard_pairs=400, losses=lambda ids: np.full(len(ids), 9.0, np.float32))
    assert not strategy.guard.allows and (kept(strategy) == 1.0).all()
    assert strategy.metrics(START)["gamma"] == 0.0 < strategy.accuracy_sum
    rng = np.random.default_rng(1)
    for step in range(200):  # T_k stays above the losses: all are between 0.3 and 1.25 of it
        ids = rng.integers(0, PAIRS, 16)
        losses = (9.0 * 0.99**step + 0.1 * (ids % 3)).astype(np.float32)
        observe(strategy, ids, losses)
        assert (kept(strategy) == 1.0).all()
    assert strategy.metrics(START)["majority"] > 0.99
    teach(strategy, 200, losses=three_kinds)  # now the kinds differ, so shrinking is allowed
    learned, useful, too_hard = kept_by_kind(strategy)
    assert strategy.guard.allows and useful > 0.8 > 0.5 > max(learned, too_hard)


def test_the_guard_judges_by_the_uniform_slice():
    strategy = build_strategy(AutoAssistConfig(guard_pairs=100), corpus_of())
    uniform = IDS[:40] < 9
    for _ in range(2):
        strategy.observe(Report(IDS[:40], three_kinds(IDS[:40]), uniform), START)
    assert strategy.guard.state_dict()["_judged"] == 18


def test_the_threshold_moves_before_the_labels_are_made():
    config = AutoAssistConfig(**PAPERS_RULE, threshold_decay=0.0, gamma_decay=0.0)
    strategy = build_strategy(config, corpus_of())
    for losses in ([1, 1, 1, 1], [2, 2, 2, 6]):  # T_k is 1, then 3: one label of four is 1
        observe(strategy, IDS[:4], np.float32(losses))
    assert strategy.metrics(START)["majority"] == 0.75


def test_the_accuracy_is_that_before_learning():
    strategy = build_strategy(
        AutoAssistConfig(**PAPERS_RULE, eta=1000.0, gamma_decay=0.5), corpus_of()
    )
    losses = 1.0 + 4.0 * (IDS[:4] != 0)  # an untrained Assistant predicts no label 1
    observe(strategy, IDS[:4], losses.astype(np.float32))
    assert strategy.gamma(START) == 0.5 * 0.25  # gamma_k begins at 0, the metric at its first value
    assert strategy.metrics(START)["acc"] == 0.25
    assert (strategy.assistant.predict(strategy.source, IDS[1:4]) > 0.5).all()
