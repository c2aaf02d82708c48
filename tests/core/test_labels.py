"""Threshold T_k and labels: how a report moves T_k, and which losses have label 1."""

import numpy as np
import pytest

from fairseq_autoassist.config import AutoAssistConfig
from fairseq_autoassist.core.labels import ema, labels, update_threshold
from fairseq_autoassist.core.strategies import Report, build_strategy
from fairseq_autoassist.core.strategies.autoassist import PAPERS_RULE
from tests.support.strategies import START, corpus_of


def test_threshold_starts_at_the_first_mean_and_moves_by_the_decay():
    threshold = update_threshold(None, np.array([2.0, 4.0]), 0.9)
    assert threshold == 3.0
    assert update_threshold(threshold, np.array([13.0]), 0.9) == pytest.approx(4.0)


def test_an_empty_report_changes_nothing():
    assert update_threshold(None, np.empty(0), 0.9) is None
    assert update_threshold(3.5, np.empty(0), 0.9) == 3.5


def test_the_threshold_is_computed_from_all_pairs_trained_on():
    strategy = build_strategy(AutoAssistConfig(threshold_decay=0.0), corpus_of())
    losses, uniform = np.float32([1, 3, 2, 6]), np.array([True, True, False, False])
    strategy.observe(Report(np.arange(4), losses, uniform), START)
    assert strategy.metrics(START)["T"] == 3.0
    strategy.observe(Report(np.arange(4), losses + 9, np.zeros(4, bool)), START)
    assert strategy.metrics(START)["T"] == 12.0


def test_label_is_loss_above_the_threshold():
    np.testing.assert_array_equal(labels(np.array([2.9, 3.0, 3.1]), 3.0), [False, False, True])


def test_a_label_above_a_negative_threshold_is_that_of_the_paper_too():
    losses = np.array([-1.0, -2.0, -3.0])
    np.testing.assert_array_equal(labels(losses, -2.0), [True, False, False])


def test_a_negative_mean_loss_is_named_once_where_the_label_has_an_upper_limit():
    for settings, times in (({}, 1), (PAPERS_RULE, 0)):
        strategy, said = build_strategy(AutoAssistConfig(**settings), corpus_of()), []
        for _ in range(3):
            report = Report(np.arange(4), np.float32([-1, -2, -3, -2]), np.ones(4, bool))
            strategy.observe(report, START)
            said += strategy.messages()
        assert len(said) == times
        assert all("found -2, expected above 0" in message.text for message in said)


def test_threshold_does_not_depend_on_batch_size_for_equal_losses():
    assert update_threshold(3.0, np.full(7, 2.0), 0.5) == update_threshold(
        3.0, np.full(1, 2.0), 0.5
    )


def test_ema_weighs_the_old_value_by_the_decay():
    assert ema(1.0, 2.0, 0.25) == 1.75
