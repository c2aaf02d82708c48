"""Resume: the same data-bins, and the trainer's count of updates."""

from __future__ import annotations

import dataclasses
from argparse import Namespace

import numpy as np
import pytest

from fairseq_autoassist.config import AutoAssistConfig
from fairseq_autoassist.core.batching import BatchLimits
from fairseq_autoassist.core.progress import Progress
from fairseq_autoassist.core.worker.client import Exchange
from fairseq_autoassist.errors import AutoAssistError
from fairseq_autoassist.plugin.data import counts_on
from fairseq_autoassist.plugin.ranks import Ranks
from fairseq_autoassist.plugin.shards import Shards
from tests.support.planning import make_sizes, make_spec, tokens_of, with_pairs

LAG = 5


def data_bin(pairs, seed=0):
    """Specification of a run over a data-bin of so many pairs, drawn by the seed."""
    source, target = make_sizes(pairs, seed)
    spec = with_pairs(make_spec(pairs, lag=LAG), source, target)
    return dataclasses.replace(spec, max_update=900)


def train(shards, shard, spec, batches=20, first=0):
    """Train on a data-bin; returns the update that each batch was planned for."""
    shards.current = shard
    state, _ = shards.here(spec)
    spec = dataclasses.replace(spec, updates_before=shards.updates_before)
    exchange = Exchange(spec, state)
    updates = []
    for k in range(batches):
        batch = exchange.next_batch()
        updates.append(exchange._planner.point.update)
        exchange.report(batch.number, np.ones(len(batch.ids), np.float32), first + k)
    shards.own(exchange.state_dict(), None, spec)
    return updates


def resumed(shards, spec, ranks=1, **settings):
    """Shards as after a restart, on the data-bin trained on last."""
    saved = shards.saved(spec, 0, 0, [shards.own(None, None, spec)])
    again = Shards()
    again.current = shards.current
    vars(again).update(settings)
    again.load(saved, spec, Ranks(0, ranks), 1)
    return again


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize(
    "other, found",
    [
        (data_bin(100), "pairs 100"),
        (data_bin(150, seed=9), "tokens"),
        (dataclasses.replace(data_bin(150), text="other"), "text other"),
    ],
)
def test_another_data_bin_in_the_place_of_one_is_refused(ranks, other, found):
    shards, first, second = Shards(), data_bin(150), data_bin(120)
    first = dataclasses.replace(first, text="one")
    train(shards, 0, first)
    train(shards, 1, second, first=20)
    again = resumed(shards, second, ranks)
    again.current = 0
    again.here(dataclasses.replace(first, world_size=ranks))  # the same data-bin resumes
    with pytest.raises(AutoAssistError, match=f"data-bin 1 has {found}.*--reset-dataloader"):
        again.here(dataclasses.replace(other, world_size=ranks))


@pytest.mark.parametrize("ranks", [1, 2])
def test_another_number_of_data_bins_is_refused(ranks):
    shards, spec = Shards(), data_bin(150)
    shards.data_bins = 2
    train(shards, 0, spec)
    saved = shards.saved(spec, 0, 0, [shards.own(None, None, spec)])
    shards.load(saved, spec, Ranks(0, ranks), 1)
    for count in (1, 3):
        shards.data_bins = count
        with pytest.raises(AutoAssistError, match=f"of 2 data-bins, this run has {count}.*--reset"):
            shards.load(saved, spec, Ranks(0, ranks), 1)


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("limits", [BatchLimits(100, None, 8), BatchLimits(400, 20, 1)])
def test_under_other_batch_limits_the_stream_goes_on(limits, ranks, caplog):
    """Train once a pass on every pair, pairs planned under the old limits included."""
    before = dataclasses.replace(data_bin(600), config=AutoAssistConfig(strategy="uniform"))
    spec, shards, trained = dataclasses.replace(before, limits=limits), Shards(), []
    exchange = Exchange(before)
    for _ in range(15):
        batch = exchange.next_batch()
        trained.append(batch.ids)
        exchange.report(batch.number, np.ones(len(batch.ids), np.float32))
    shards.own(exchange.state_dict(), Progress.of(batch), before)
    saved = shards.saved(before, 15, 60, [shards.own(None, None, before)])
    for rank in range(ranks):
        again = Shards()
        mine = dataclasses.replace(spec, rank=rank, world_size=ranks)
        left = again.load(saved, mine, Ranks(rank, ranks), 1)
        state, progress = again.here(mine)
        exchange = Exchange(mine, state)
        while exchange._planner.stream.position[0] < 3:
            batch = exchange.next_batch()
            trained.append(batch.ids)
            tokens = tokens_of(spec)[batch.ids]
            assert tokens.max() * len(tokens) <= limits.max_size
            exchange.report(batch.number, np.ones(len(batch.ids), np.float32))
        planner = exchange._planner
        trained += [planner.buckets.take_all()["id"], *(b["id"] for b in planner._ready)]
        at = planner.stream.position[1]
        trained += [planner.stream.take(10**6)[0]] if at else []
    assert set(np.bincount(np.concatenate(trained))) == {3 + bool(at)}
    ratio = spec.batches_per_pass / before.batches_per_pass
    assert left["length"] - left["offset"] == pytest.approx(45 * ratio / ranks, abs=1)
    per_batch = progress.totals.batched / progress.totals.batches
    assert per_batch == pytest.approx(600 / spec.batches_per_pass, rel=0.25)
    assert "the checkpoint was made under --max-tokens 200, --batch-size none" in caplog.text


def test_under_other_batch_limits_ranks_share_a_pass_that_one_of_them_has_begun():
    config = AutoAssistConfig(strategy="uniform")
    before = dataclasses.replace(data_bin(600), config=config, world_size=2)
    spec, saved = dataclasses.replace(before, limits=BatchLimits(100, None, 8)), []
    for rank, batches in enumerate((1, 40)):
        shards, exchange = Shards(), Exchange(dataclasses.replace(before, rank=rank))
        for number in range(batches):
            exchange.report(number, np.ones(len(exchange.next_batch().ids), np.float32))
        saved.append(shards.own(exchange.state_dict(), None, before))
    ahead = exchange._planner.stream
    assert ahead.position == (2, 0)
    ahead.seek((1, 0))
    second_pass = ahead.take(600)[0].tolist()
    saved = shards.saved(before, 0, 0, saved)
    streams = []
    for rank in range(2):
        again, mine = Shards(), dataclasses.replace(spec, rank=rank)
        again.load(saved, mine, Ranks(rank, 2), 1)
        streams.append(Exchange(mine, again.here(mine)[0])._planner.stream)
    behind, ahead = streams
    assert behind.position == (1, 0) and ahead.position == (2, 0)
    second_pass += behind.take(600)[0].tolist()
    third_pass = [stream.take(600)[0].tolist() for stream in streams]
    assert sorted(second_pass) == sorted(sum(third_pass, [])) == list(range(600))


def test_under_reset_optimizer_updates_are_counted_from_0():
    """Follow fairseq, whose own count begins again."""
    shards, spec = Shards(), data_bin(150)
    train(shards, 0, spec, 60)
    planned = LAG  # before the state was saved
    ahead = [60 + k for k in range(planned, 9)]
    assert train(resumed(shards, spec), 0, spec, 9, first=60)[planned:] == ahead
    anew = list(range(planned, 9))
    assert train(resumed(shards, spec, counts_anew=True), 0, spec, 9)[planned:] == anew
    # on another data-bin too
    again = resumed(shards, spec, counts_anew=True)
    assert train(again, 1, data_bin(120), 9) == list(range(9))


@pytest.mark.parametrize(
    "settings, expected",
    [
        ({}, False),  # there is no checkpoint
        ({"found": True}, True),
        ({"restore_file": "elsewhere.pt"}, True),
        ({"continue_once": "elsewhere.pt"}, True),
        ({"found": True, "reset_optimizer": True}, False),
        ({"found": True, "reset_dataloader": False}, False),
    ],
)
def test_under_reset_dataloader_the_count_of_updates_goes_on_if_fairseq_loads_it(
    tmp_path, settings, expected
):
    if settings.pop("found", False):
        (tmp_path / "checkpoint_last.pt").touch()
    defaults = {"reset_dataloader": True, "reset_optimizer": False}
    defaults.update(restore_file="checkpoint_last.pt", save_dir=str(tmp_path))
    assert counts_on(Namespace(**{**defaults, **settings})) == expected
