"""States that are kept while training goes on: later reports are added, and all can be loaded."""

from __future__ import annotations

import copy

import pytest
import torch

from fairseq_autoassist.errors import AutoAssistError
from tests.support.devices import OnDevice, on_device
from tests.support.loaders import SavingLoader
from tests.support.loop import Loop, make

STEPS = 70  # reports count from the 32nd on, the lag


@pytest.fixture
def short_tail(monkeypatch):
    """Snapshots every 10 reports, whose states get 20 reports more."""
    monkeypatch.setattr("fairseq_autoassist.pytorch.saving._TAIL", 10)
    monkeypatch.setattr("fairseq_autoassist.pytorch.saving._LATER", 20)


def looped(every=1, steps=STEPS):
    assist = make("autoassist", epoch=steps)
    return Loop(assist, SavingLoader(assist, every=every))


@pytest.mark.parametrize("every", [1, 5])
def test_a_loader_that_is_ahead_resumes_across_snapshots(every, short_tail):
    """States of batches in flight belong to the snapshot before the newest one."""
    expected, states = looped(every), []
    for batch in expected.loader:
        expected.step(*batch)
        parts = expected.model, expected.optimizer, expected.loader
        states.append(copy.deepcopy([part.state_dict() for part in parts]))
    first = [state[2]["sampler"]["first"] for state in states]
    assert len(set(first)) > 3, "one snapshot alone cannot show it"
    for at in range(9, 15):
        loop = looped(every)
        for part, state in zip((loop.model, loop.optimizer, loop.loader), states[at - 1]):
            part.load_state_dict(state)
        loop.epoch()
        assert loop.batches == expected.batches[at:]
        assert loop.losses == expected.losses[at:]


@pytest.mark.parametrize("at", [40, 145])
def test_a_loader_that_saves_seldom_resumes(at):
    """It skips more batches than the loader may take ahead of the reports, 32."""
    expected = looped(every=100, steps=150)
    expected.epoch(at)
    states = copy.deepcopy([part.state_dict() for part in (expected.model, expected.optimizer)])
    saved = copy.deepcopy(expected.loader.state_dict())
    assert saved["since"] == at % 100 > 32
    loop = looped(every=100, steps=150)
    for part, state in zip((loop.model, loop.optimizer, loop.loader), (*states, saved)):
        part.load_state_dict(state)
    loop.epoch()
    whole = looped(every=100, steps=150)
    whole.epoch()
    assert (loop.batches, loop.losses) == (whole.batches[at:], whole.losses[at:])


def test_a_state_that_is_kept_stops_growing(short_tail):
    loop = Loop(make("autoassist", epoch=3 * STEPS))
    loop.epoch(5)
    kept = loop.assist.state_dict()
    loop.epoch(2 * STEPS)
    assert kept["trained"] == 5 and len(kept["reports"]) == 30
    assert loop.assist.state_dict()["first"] == 5 + 2 * STEPS


def test_a_state_made_right_after_a_resume_has_the_later_reports_of_the_first():
    """A loader that resumes from either skips their batches."""
    first, second = Loop(make("autoassist")), make("autoassist")
    first.epoch(5)
    state = first.assist.state_dict()
    first.epoch(3)
    second.load_state_dict(state)
    again = second.state_dict()
    assert again["trained"] == state["trained"] == 5
    assert list(again["reports"]) == list(state["reports"]) == [5, 6, 7]
    assert all(again["reports"][n].equal(state["reports"][n]) for n in again["reports"])


def test_a_state_may_be_loaded_with_its_tensors_on_a_gpu():
    """``torch.load(..., map_location="cuda")`` puts them there."""
    first, second = Loop(make("autoassist")), Loop(make("autoassist"))
    first.assist.state_dict()  # a snapshot before the reports
    first.epoch(5)
    state = on_device(first.assist.state_dict())
    assert [type(losses) for losses in state["reports"].values()] == [OnDevice] * 5
    second.assist.load_state_dict(state)
    first.epoch()
    second.epoch()
    assert second.batches == first.batches[5 : 5 + 14]


USES = {
    "state_dict": lambda assist: assist.state_dict(),
    "metrics": lambda assist: assist.metrics,
    "iteration": lambda assist: next(iter(assist)),
    "report": lambda assist: assist.report([1], torch.ones(1)),
    "weights": lambda assist: assist.weights([1]),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("steps", [0, 22])
def test_a_closed_sampler_is_not_used_by_mistake(use, steps):
    """A state saved by mistake after the end would begin the run anew."""
    loop = Loop(make("uniform"))
    while len(loop.batches) < steps:
        loop.epoch(steps - len(loop.batches))
    state = loop.assist.state_dict()
    for _ in range(2):
        loop.assist.close()
    with pytest.raises(AutoAssistError, match=r"closed .* before close\(\)") as caught:
        USES[use](loop.assist)
    assert len(str(caught.value).splitlines()) == 1
    assert (loop.assist.epoch, loop.assist.batch) == divmod(steps, 19)
    loop.assist.load_state_dict(state)
    USES["state_dict"](loop.assist)
    loop.epoch()
    assert len(loop.batches) == max(steps, 19) + (19 - 3) * (steps > 0)


def test_a_loop_that_reads_on_after_close_is_told():
    assist = make("uniform")
    batches = iter(assist)
    next(batches)
    assist.close()
    with pytest.raises(AutoAssistError, match="found a closed AutoAssist"):
        next(batches)
