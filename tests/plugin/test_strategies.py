"""Strategies on fairseq's side: checkpoints, several data-bins, runs without an end."""

import contextlib
import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from fairseq_autoassist.config import flag
from fairseq_autoassist.core.planner import Planner
from fairseq_autoassist.core.progress import Progress
from fairseq_autoassist.core.resize import redistribute
from fairseq_autoassist.core.strategies import needs_of
from fairseq_autoassist.errors import ConfigError
from fairseq_autoassist.features.store import StoredFeatures
from fairseq_autoassist.plugin.config import TranslationAutoAssistConfig, autoassist_config
from fairseq_autoassist.plugin.data import refuse_endless
from fairseq_autoassist.plugin.iterator import AutoAssistEpochIterator, Loader
from fairseq_autoassist.plugin.ranks import Ranks
from fairseq_autoassist.plugin.shards import Shards
from fairseq_autoassist.tensors import from_checkpoint, to_checkpoint
from tests.support.planning import make_spec
from tests.support.strategies import (
    CASES,
    PAIRS,
    RareFeatures,
    config_of,
    losses_of,
    planner_of,
    spec_of,
    train,
)

every_case = pytest.mark.parametrize("case", CASES)


def through_a_checkpoint(state, path):
    """State after torch saved it and loaded it under its strict rules."""
    torch.save(to_checkpoint(state), path)
    return from_checkpoint(torch.load(path, weights_only=True))


def pairs_of(batches):
    return [batch.kept.tolist() for batch in batches]


@every_case
@pytest.mark.parametrize("step", [0, 1, 33])
def test_a_strategy_resumes_from_a_checkpoint(case, step, tmp_path):
    planner = planner_of(case)
    train(planner, step)
    saved = through_a_checkpoint(planner.state_dict(), tmp_path / "state.pt")
    resumed = planner_of(case)
    resumed.load_state_dict(saved)
    after, again = train(planner, 40), train(resumed, 40)
    assert pairs_of(again) == pairs_of(after)
    assert [b.metrics for b in again] == [b.metrics for b in after]


@pytest.mark.parametrize("name", ["spl", "infobatch"])
def test_remembered_losses_are_saved_exactly(name, tmp_path):
    planner = planner_of(name)
    train(planner, 20)
    memory = planner.strategy.state_dict()["memory"]
    back = through_a_checkpoint(memory, tmp_path / "state.pt")
    assert back["losses"].dtype == np.float16 and back["losses"].shape == (PAIRS,)
    np.testing.assert_array_equal(back["losses"], memory["losses"])  # NaN where not known
    assert 0 < np.isnan(back["losses"]).sum() < PAIRS
    assert back["known"] == memory["known"] and back["sum"] == memory["sum"]


@every_case
def test_a_strategy_resumes_over_another_world_size(case, tmp_path):
    states = []
    for rank in range(2):
        planner = planner_of(case, rank=rank, world_size=2)
        train(planner, 30)
        state = {"trained": 30, "planner": planner.state_dict()}
        states.append(through_a_checkpoint(state, tmp_path / f"{rank}.pt"))
    merged = redistribute(states, CASES[case]["strategy"], 0, 1)["planner"]
    planner = planner_of(case)
    planner.load_state_dict(merged)
    merged = through_a_checkpoint(planner.state_dict(), tmp_path / "merged.pt")
    again = planner_of(case)
    again.load_state_dict(merged)
    assert pairs_of(train(again, 30)) == pairs_of(train(planner, 30))


def run_of(max_update, max_epoch, data="data-bin"):
    return SimpleNamespace(max_update=max_update, max_epoch=max_epoch, data=data)


@every_case
def test_a_run_without_an_end_is_refused_where_it_matters(case):
    config = config_of(case)
    needs = needs_of(config).run_length
    for limits in ((0, 5), (5, 0), (5, 5)):
        refuse_endless(run_of(*limits), needs)
    if not needs:
        refuse_endless(run_of(0, 0), needs)
        return
    with pytest.raises(ConfigError, match="--max-update or --max-epoch") as error:
        refuse_endless(run_of(0, 0), needs)
    name, value = needs.split()
    assert str(error.value).startswith(needs)
    fields = {flag(field): value for field, value in vars(config).items()}
    assert f"{fields[name]:g}" == f"{float(value):g}"  # a flag that exists, and its value


def test_options_without_effect_are_refused_before_a_run_is_set_up():
    task = TranslationAutoAssistConfig(autoassist_strategy="random", autoassist_floor=0.5)
    with pytest.raises(ConfigError, match="random does not read --autoassist-floor 0.5 .read by"):
        autoassist_config(task)


def planner_in(case, shards, shard, pairs):
    """Planner that resumes in a shard from the state that the shards hold."""
    shards.current = shard
    state, _ = shards.here(spec_of(case, pairs))
    planner = Planner(spec_of(case, pairs), RareFeatures(pairs))
    if state is not None:
        planner.load_state_dict(state["planner"])
    return planner


@every_case
def test_a_strategy_trains_on_data_bins_of_different_sizes_in_turn(case):
    shards, trained = Shards(), {0: 0, 1: 0}
    for shard, pairs in ((0, PAIRS), (1, 250), (0, PAIRS), (1, 250)):
        planner = planner_in(case, shards, shard, pairs)
        assert shards.trained_elsewhere == trained[1 - shard]
        before = planner.strategy.state_dict()
        batches = train(planner, 25)
        trained[shard] += 25
        assert max(i for batch in batches for i in batch.ids.tolist()) < pairs
        memory = before.get("memory")
        assert memory is None or len(memory["losses"]) == pairs
        # losses are remembered by data-bin
        assert memory is None or (memory["known"] > 0) == (trained[shard] > 25)
        spec = spec_of(case, pairs)
        shards.own({"trained": trained[shard], "planner": planner.state_dict()}, None, spec)
    ranks = SimpleNamespace(rank=0, world_size=1)
    saved = shards.saved(spec, 0, 0, [shards.own(None, None, spec)])
    again = Shards()
    again.current = 1
    again.load(saved, spec_of(case, 250), ranks, 1)
    assert again.trained_elsewhere == 50
    assert pairs_of(train(planner_in(case, again, 1, 250), 20)) == pairs_of(train(planner, 20))


def test_updates_are_counted_over_data_bins_whatever_the_world_size():
    """Count a micro-batch on every rank as one of the run, whatever the world size."""
    spec = make_spec(PAIRS)
    states = []
    for rank in range(2):
        shards = Shards()
        planner = planner_of("uniform", rank=rank, world_size=2)
        train(planner, 30)
        progress = [1.0 + rank, 1.0 - rank / 2, list(planner._totals)]
        state = {"trained": 30, "planner": planner.state_dict()}
        shards.own(state, Progress(*progress), spec)
        states.append(shards.own(None, None, spec))
    header = Shards().saved(spec, 4, 10, states)
    # of the epoch, six micro-batches on each of two ranks are left
    for world_size, length in ((1, 4 + 12), (4, 4 + 3)):
        shards = Shards()
        shards.current = 1
        ranks = Ranks(0, world_size)
        epoch = shards.load({**header, "shard": 1}, spec, ranks, 1)
        assert epoch == {"offset": 4, "length": length}
        assert shards.trained_elsewhere == 30
        assert shards._states[0]["progress"][:2] == [1.5, 0.75]


def test_progress_of_the_run_is_counted_over_data_bins_and_checkpoints():
    loader, spec = Loader(0, 0, (1,)), dataclasses.replace(spec_of("uniform"), max_passes=10.0)

    def opened(shards, shard):
        shards.current = shard
        return AutoAssistEpochIterator(None, spec, 1, loader, shards, Ranks(0, 1))

    shards = Shards()
    first = opened(shards, 0)
    first.load_state_dict({"epoch": 6})  # fairseq's own task did 5 of 10 epochs
    saved, before, done = None, [], [0.0, 0.0]
    for update, shard in enumerate((0, 1, 0, 1)):
        iterator = first if update == 0 else opened(shards, shard)
        with contextlib.closing(iterator._open()) as session:
            before.append((session.exchange.spec.passes_before, 5.0 + done[1 - shard]))
            number = session.next_batch().number
            session.exchange.report(number, None, 700 + update)
            done[shard] = session.trained(number).passes
            saved = shards.saved(spec, 1, 9, [iterator._own_state()])
            iterator.park()
    again = Shards()
    resumed = opened(again, 1)
    resumed.load_state_dict({"epoch": 9, "autoassist": saved})
    with contextlib.closing(resumed.session):
        before.append((resumed.session.exchange.spec.passes_before, 5.0 + done[0]))
    assert min(done) > 0.0
    assert [found for found, _ in before] == [expected for _, expected in before]


def test_an_assistant_that_failed_is_not_started_again_with_the_next_data_bin():
    shards, loader = Shards(), Loader(0, 0, (1,))
    spec = dataclasses.replace(
        spec_of("autoassist"), features=StoredFeatures("gone"), dimensions=20
    )

    def iterator(shard):
        shards.current = shard
        made = AutoAssistEpochIterator(None, spec, 1, loader, shards, Ranks(0, 1))
        made._open()
        return made

    first = iterator(0)  # its process fails: the folder does not exist
    with contextlib.closing(first.session) as session:
        batch = session.next_batch()
        assert session.exchange.failure is not None
        session.exchange.report(batch.number, None, 0)
        first.park()
    second = iterator(1).session.exchange
    for update in range(1, 60):
        batch = second.next_batch()
        second.report(batch.number, losses_of(batch.ids), update)
    assert batch.keep_rate == 1.0 and second.failure is None
