"""Failures: each is logged, and training goes on without skipping or stops, as on_failure says."""

from __future__ import annotations

import copy
import logging
import os
import signal
import sys

import pytest
import torch

from fairseq_autoassist.errors import AssistantFailure
from tests.support.loop import Loop, make
from tests.support.processes import alive, wait_for


def warnings(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_a_dead_worker_does_not_end_training(caplog):
    loop = Loop(make("autoassist", inline=False), num_workers=2)
    loop.epoch()
    loop.epoch(3)
    os.kill(loop.assist._session._exchange.pid, signal.SIGKILL)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            loop.epoch()
    (said,) = [text for text in warnings(caplog) if "signal 9" in text]
    assert "Training goes on without skipping: every item is kept" in said
    assert len(loop.batches) == 19 + 3 + 3 * 19
    assert loop.assist.metrics["keep"] == pytest.approx(1.0, abs=0.02)


def test_a_dead_worker_ends_training_if_on_failure_is_stop():
    loop = Loop(make("autoassist", inline=False, on_failure="stop"))
    loop.epoch(3)
    os.kill(loop.assist._session._exchange.pid, signal.SIGKILL)
    with pytest.raises(AssistantFailure, match="signal 9.*stopping, as on_failure stop asks for"):
        for _ in range(9):
            loop.epoch()


def test_a_run_that_went_on_without_its_worker_can_be_resumed():
    loop = Loop(make("autoassist", inline=False))
    loop.epoch(5)
    os.kill(loop.assist._session._exchange.pid, signal.SIGKILL)
    loop.epoch()
    state = loop.state()
    after = Loop(make("autoassist", inline=False))
    after.load(state)
    after.epoch()
    assert after.assist.epoch == loop.assist.epoch + 1
    after.assist.close()


def test_a_resume_knows_which_batches_were_trained_on_after_the_failure():
    """The state shares its snapshot with an earlier one, which was made after the failure too."""
    loop = Loop(make("random", inline=False, epoch=200))
    batches = iter(loop.loader)
    for step in range(120):
        loop.step(*next(batches))
        if step == 4:
            os.kill(loop.assist._session._exchange.pid, signal.SIGKILL)
        if step == 40:
            earlier = loop.state()["assist"]
    state = copy.deepcopy(loop.state())
    assert state["assist"]["first"] == earlier["first"] == 41
    after = Loop(make("random", epoch=200))
    after.load(state)
    expected, found = loop.assist.metrics, after.assist.metrics
    expected.pop("wait"), found.pop("wait")
    assert found == expected
    resumed = iter(after.loader)
    assert [next(resumed)[0].tolist() for _ in range(5)] == [
        next(batches)[0].tolist() for _ in range(5)
    ]
    while after.assist.metrics["keep"] > 0.8:  # it has its strategy back
        after.step(*next(resumed))


def test_a_worker_that_fails_at_a_resume_changes_nothing_of_what_was_trained_on(monkeypatch):
    loop = Loop(make("random", epoch=200))
    loop.epoch(1)
    loop.state()  # the reports since this snapshot are replayed
    loop.epoch(100)
    state, expected = loop.state(), loop.assist.metrics
    monkeypatch.setattr(sys, "executable", "/bin/false")
    after = Loop(make("random", epoch=200, inline=False))
    after.load(state)
    found = after.assist.metrics
    expected.pop("wait"), found.pop("wait")
    assert found == expected
    after.epoch(5)
    assert "exit status 1" in after.assist._session._exchange.failure


@pytest.mark.parametrize("action", ["continue", "stop"])
def test_losses_that_are_not_finite_give_a_warning_or_an_error(action, caplog):
    assist = make("autoassist", on_failure=action, epoch=200)

    def run():
        for step, ids in enumerate(assist):
            losses = torch.full((len(ids),), 1.0 if step != 50 else float("nan"))
            assist.report(ids, losses)

    if action == "stop":
        with pytest.raises(AssistantFailure, match="NaN or infinite.*on_failure='stop'"):
            run()
    else:
        with caplog.at_level(logging.WARNING):
            run()
        assert any("are NaN or infinite" in text for text in warnings(caplog))
        assert assist.batch == 0 and assist.epoch == 1


def test_the_worker_ends_with_its_sampler():
    loop = Loop(make("uniform", inline=False))
    loop.epoch(2)
    pid = loop.assist._session._exchange.pid
    assert alive(pid)
    del loop
    wait_for(lambda: not alive(pid), 10, "the process to end")
