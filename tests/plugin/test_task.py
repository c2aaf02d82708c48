"""Training step of the task: every planned micro-batch is reported once, whatever happens."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from fairseq.tasks.translation import TranslationTask

from fairseq_autoassist.config import AutoAssistConfig
from fairseq_autoassist.core.ledger import Ledger
from fairseq_autoassist.core.strategies import metric_names
from fairseq_autoassist.plugin.criterions import PLAN
from fairseq_autoassist.plugin.session import Session
from fairseq_autoassist.plugin.shards import Shards
from fairseq_autoassist.plugin.task import TranslationAutoAssistTask


def test_a_step_without_sentence_losses_is_reported_as_such(monkeypatch):
    """Report None under fairseq's own criterion, and for a step that runs out of memory."""
    posted, outcomes = [], [(1.0, 4, {}), MemoryError(), (1.0, 4, {})]

    def step(self, *_):
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(TranslationTask, "train_step", step)
    task = TranslationAutoAssistTask.__new__(TranslationAutoAssistTask)
    task.autoassist = AutoAssistConfig("random")
    task._metric_names = metric_names(task.autoassist)
    task._trace = None
    task._shards = Shards()
    exchange = SimpleNamespace(
        ledger=Ledger(), report=lambda *report: posted.append(report), failure=None, waited=0.0
    )
    task._iterator = SimpleNamespace(session=Session(exchange))

    def train(number):
        return task.train_step({PLAN: {"number": number}}, None, None, None, 7)

    assert train(0)[:2] == (1.0, 4) and posted == [(0, None, 7)]
    with pytest.raises(MemoryError):
        train(1)
    assert posted[1:] == [(1, None, 7)]
    task.train_step({}, None, None, None, 7)  # fairseq's dummy batch: not planned
    assert len(posted) == 2
