"""Resume: a run that was stopped trains as one that was not, from any checkpoint."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from fairseq_autoassist.errors import AutoAssistError
from fairseq_autoassist.pytorch import WithIds
from tests.support.loaders import SavingLoader
from tests.support.loop import BATCH, ITEMS, STRATEGIES, Loop, dataset, make, points

STEPS = 70  # 19 an epoch; reports count from the 32nd on, the lag


def whole(strategy, steps=STEPS, **arguments):
    """Run without interruption."""
    loop = Loop(make(strategy, **arguments))
    while len(loop.batches) < steps:
        loop.epoch(steps - len(loop.batches))
    return loop


def through_a_file(state, path):
    """State saved to a file and read back with ``weights_only``."""
    torch.save(state, path)
    return torch.load(path, weights_only=True)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_resume_within_an_epoch_is_exact(strategy, tmp_path):
    expected = whole(strategy)
    first = Loop(make(strategy))
    first.epoch()
    first.epoch()
    first.epoch(7)
    state = through_a_file(first.state(), tmp_path / "state.pt")

    second = Loop(make(strategy))
    second.load(state)
    assert (second.assist.epoch, second.assist.batch) == (2, 7)
    second.epoch()
    assert len(second.batches) == 19 - 7 and len(second.loader) == 19
    assert (second.assist.epoch, second.assist.batch) == (3, 0)
    second.epoch(STEPS - 3 * 19)
    assert first.batches + second.batches == expected.batches
    assert first.losses + second.losses == expected.losses


@pytest.mark.parametrize("at", [1, 31, 38, 57])
def test_a_resume_from_any_checkpoint_is_exact(at, tmp_path):
    """Checkpoints before any report counts, within an epoch and at its end, with loader workers.

    A state is saved after each batch, so most states share a snapshot with others.
    """
    expected = whole("autoassist")
    settings = {"num_workers": 2, "persistent_workers": True}
    first = Loop(make("autoassist", inline=False), **settings)
    while len(first.batches) < at:
        for batch in first.loader:
            first.step(*batch)
            state = copy.deepcopy(first.state())
            if len(first.batches) == at:
                break
    assert state["assist"]["first"] == 1 and state["assist"]["trained"] == at
    first.assist.close()

    second = Loop(make("autoassist", inline=False), **settings)
    second.load(through_a_file(state, tmp_path / "state.pt"))
    assert (second.assist.epoch, second.assist.batch) == divmod(at, 19)
    while len(second.batches) < STEPS - at:
        second.epoch(STEPS - at - len(second.batches))
    assert first.batches + second.batches == expected.batches
    assert first.losses + second.losses == expected.losses
    second.assist.close()


def test_states_share_a_snapshot_for_a_number_of_batches(monkeypatch):
    monkeypatch.setattr("fairseq_autoassist.pytorch.saving._TAIL", 10)
    expected, loop, states = whole("autoassist"), Loop(make("autoassist", epoch=STEPS)), []
    for batch in loop.loader:
        loop.step(*batch)
        states.append(copy.deepcopy(loop.state()))
    assert loop.batches == expected.batches
    assert {state["assist"]["first"] for state in states} == {1, 11, 21, 31, 41, 51, 61}
    assert max(len(state["assist"]["reports"]) for state in states) < 10
    second = Loop(make("autoassist", epoch=STEPS))
    second.load(states[45])
    second.epoch()
    assert second.batches == expected.batches[46:]


def test_a_resumed_run_can_be_resumed(tmp_path):
    expected, found, state = whole("infobatch"), [], None
    while len(found) < STEPS:
        loop = Loop(make("infobatch"))
        if state is not None:
            loop.load(state)
        loop.epoch(min(6, STEPS - len(found)))
        state = through_a_file(loop.state(), tmp_path / "state.pt")
        found += loop.batches
    assert found == expected.batches


def test_metrics_are_those_of_the_run_that_was_stopped():
    first, second = whole("autoassist"), Loop(make("autoassist"))
    second.load(first.state())
    expected, found = first.assist.metrics, second.assist.metrics
    expected.pop("wait"), found.pop("wait")
    assert found == expected


def test_a_state_saved_before_the_first_batch_can_be_resumed():
    first, second = Loop(make("autoassist")), Loop(make("autoassist"))
    second.load(first.state())
    first.epoch()
    second.epoch()
    assert second.batches == first.batches and second.assist.epoch == 1


# -- loaders that save their own position ----------------------------------------------------------


def simulated(assist, **settings):
    return SavingLoader(assist)


def torchdata_loader(assist, **settings):
    module = pytest.importorskip("torchdata.stateful_dataloader")
    return module.StatefulDataLoader(WithIds(dataset()), batch_sampler=assist, **settings)


LOADERS = {
    "simulated": (simulated, {}),
    "torchdata": (torchdata_loader, {}),
    "torchdata, workers": (torchdata_loader, {"num_workers": 2}),
    "torchdata, persistent": (torchdata_loader, {"num_workers": 2, "persistent_workers": True}),
    "torchdata, seldom": (torchdata_loader, {"num_workers": 2, "snapshot_every_n_steps": 5}),
}


@pytest.mark.parametrize("at", [7, 38, 45])
@pytest.mark.parametrize("loader", LOADERS)
def test_a_loader_that_saves_its_position_resumes_without_the_sampler_state(loader, at, tmp_path):
    make_loader, settings = LOADERS[loader]
    expected, runs, state = whole("autoassist"), [], None
    for steps in (at, STEPS - at):
        assist = make("autoassist")
        loop = Loop(assist, make_loader(assist, **settings))
        if state is not None:
            loop.load(state["loop"])
            loop.loader.load_state_dict(state["loader"])
        while len(loop.batches) < steps:
            loop.epoch(steps - len(loop.batches))
        saved = loop.state()
        del saved["assist"]
        state = {"loop": saved, "loader": loop.loader.state_dict()}
        state = through_a_file(state, tmp_path / "state.pt")
        runs.append(loop)
        if settings.get("num_workers"):  # they would live on until the loader is collected
            loop.loader._iterator._shutdown_workers()
    assert runs[0].batches + runs[1].batches == expected.batches
    assert runs[0].losses + runs[1].losses == expected.losses


# -- states that are refused -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "change, said",
    [
        ({"seed": 2}, "seed 1, this run has 2"),
        ({"batch_size": 16}, f"batch_size {BATCH}, this run has 16"),
        ({"drop_last": True}, "drop_last False, this run has True"),
        ({"lag": 40}, "lag 32, this run has 40"),
        ({"floor": 0.5}, "floor 0.1, this run has 0.5"),
        ({"max_batches": 9}, "max_batches 0, this run has 9"),
        ({"max_passes": 2.5}, "max_passes 0.0, this run has 2.5"),
        ({"prior": np.ones(ITEMS)}, "prior None, this run has [0-9a-f]{12} with floor"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_state_of_another_run_is_refused(change, said):
    state = whole("autoassist", 3).state()["assist"]
    with pytest.raises(AutoAssistError, match=said) as caught:
        make("autoassist", **change).load_state_dict(state)
    assert len(str(caught.value).splitlines()) == 1


def test_a_state_of_other_features_strategy_or_version_is_refused():
    from fairseq_autoassist.pytorch import AutoAssist

    state = whole("autoassist", 3).state()["assist"]
    other = AutoAssist(points()[0][:, :5], BATCH, inline=True, **STRATEGIES["autoassist"])
    with pytest.raises(AutoAssistError, match="the state has features"):
        other.load_state_dict(state)
    with pytest.raises(AutoAssistError, match="strategy autoassist, this run has uniform"):
        make("uniform").load_state_dict(state)
    with pytest.raises(AutoAssistError, match="version 0, this run has"):
        make("autoassist").load_state_dict({**state, "version": 0})
    with pytest.raises(AutoAssistError, match="expected what its state_dict"):
        make("autoassist").load_state_dict({"model": 1})
    with pytest.raises(AutoAssistError, match="is of 2 ranks, this run has 1"):
        make("autoassist").load_state_dict({**state, "world_size": 2})
    with pytest.raises(AutoAssistError, match="is of rank 1, this is rank 0"):
        make("autoassist").load_state_dict({**state, "rank": 1})


def test_a_resume_may_move_planning_to_a_worker():
    expected = whole("autoassist")
    first = whole("autoassist", 40)
    second = Loop(make("autoassist", inline=False, timeout=60.0, on_failure="stop"))
    second.load(first.state())
    while len(second.batches) < STEPS - 40:
        second.epoch(STEPS - 40 - len(second.batches))
    assert first.batches + second.batches == expected.batches
    second.assist.close()


def test_a_state_is_small():
    """Each checkpoint holds it; without a loss memory it takes a few bytes an item at most."""
    loop = whole("autoassist")
    blob = loop.state()["assist"]["snapshot"]["blob"]
    assert blob.nbytes < 32 * (32 * BATCH + ITEMS)


def test_a_plain_loader_resumes_from_the_state_of_the_sampler_alone(tmp_path):
    """Batches that loader workers hold at the save are handed out again."""
    first = Loop(make("uniform"), num_workers=2)
    first.epoch(5)
    state = through_a_file(first.assist.state_dict(), tmp_path / "state.pt")
    assist = make("uniform")
    assist.load_state_dict(state)
    loader = DataLoader(WithIds(dataset()), batch_sampler=assist)
    left = [ids.tolist() for ids, *_ in loader]
    assert sorted(sum(first.batches + left, [])) == list(range(ITEMS))
