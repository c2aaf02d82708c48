"""Training loop in plain PyTorch: items trained on, length of an epoch, and loaders."""

from __future__ import annotations

import collections

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from fairseq_autoassist.core.strategies import STRATEGIES as REGISTERED
from fairseq_autoassist.core.strategies import metric_names
from fairseq_autoassist.errors import AutoAssistError
from fairseq_autoassist.pytorch import AutoAssist, WithIds
from fairseq_autoassist.tensors import HostCopy
from tests.support.loop import BATCH, ITEMS, STRATEGIES, Loop, dataset, make, points

PLAIN = -(-ITEMS // BATCH)
KEEP_ALL = {"autoassist": {"floor": 1.0}}


def test_every_strategy_has_a_case():
    assert set(STRATEGIES) == set(REGISTERED)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_trains(strategy):
    loop = Loop(make(strategy))
    for _ in range(4):
        loop.epoch()
    metrics = loop.assist.metrics
    assert set(metric_names(loop.assist._alone.config)) < set(metrics)
    assert all(isinstance(value, float) for value in metrics.values())
    assert metrics["considered"] >= metrics["kept"] > 0 and metrics["pass"] > 0
    assert (metrics["skipped"] > 0.02) == (strategy != "uniform")
    assert np.mean(loop.losses[-1]) < np.mean(loop.losses[0])


def test_metrics_are_empty_before_the_first_report():
    assert make("uniform").metrics == {}


def test_a_number_of_numpy_is_a_length_of_an_epoch():
    assert len(make("uniform", epoch=np.int64(7))) == 7


def test_losses_on_their_way_count_as_reported(monkeypatch):
    """A GPU may be some batches behind the loop."""
    assist = make("uniform", epoch=5)
    monkeypatch.setattr(HostCopy, "arrived", property(lambda copy: False))
    steps = 0
    while assist.epoch < 2:
        for ids in assist:
            assist.report(torch.tensor(ids), torch.ones(len(ids), requires_grad=True))
            steps += 1
            assert (assist.epoch, assist.batch) == divmod(steps, 5)
    assert steps == 10


def test_weights_of_infobatch_come_in_the_order_of_ids():
    loop, found = Loop(make("infobatch")), collections.Counter()
    for _ in range(3):
        for ids, inputs, labels in loop.loader:
            weights = loop.assist.weights(ids)
            assert weights.dtype == torch.float32 and weights.shape == ids.shape
            backwards = loop.assist.weights(ids.flip(0))
            assert torch.equal(backwards.flip(0), weights)
            found.update(weights.tolist())
            loop.step(ids, inputs, labels)
    assert set(found) == {1.0, 2.0}  # 1 / (1 - r), r = 0.5


def test_an_epoch_of_uniform_has_the_batch_sizes_of_a_plain_loader():
    plain = DataLoader(dataset(), BATCH, shuffle=True)
    loop = Loop(make("uniform"))
    for epoch in range(1, 4):
        loop.epoch()
        mine = loop.batches[-len(plain) :]
        assert len(loop.batches) == epoch * len(plain) == epoch * len(loop.loader)
        assert sorted(sum(mine, [])) == list(range(ITEMS))
        sizes = sorted(map(len, mine))
        assert sizes == sorted(len(labels) for _, labels in plain)


@pytest.mark.parametrize("strategy", ["uniform", "random", "autoassist"])
def test_drop_last_makes_full_batches_and_loses_nothing(strategy):
    plain = DataLoader(dataset(), BATCH, drop_last=True)
    loop = Loop(make(strategy, drop_last=True, **KEEP_ALL.get(strategy, {})))
    for epoch in range(1, 6):
        loop.epoch()
        assert len(loop.batches) == epoch * len(plain) == epoch * len(loop.loader)
    assert {len(batch) for batch in loop.batches} == {BATCH}
    if strategy != "random":
        times = np.bincount(sum(loop.batches, []), minlength=ITEMS)
        assert times.min() == 4 and times.max() == 5  # 576 of 600 items an epoch


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_scheduler_of_epochs_times_batches_ends_with_the_run(strategy):
    loop, epochs = Loop(make(strategy)), 3
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        loop.optimizer, 0.1, total_steps=epochs * len(loop.loader)
    )
    for _ in range(epochs):
        for ids, inputs, labels in loop.loader:
            loop.step(ids, inputs, labels)
            scheduler.step()  # raises beyond the last one
    assert scheduler.last_epoch == epochs * len(loop.loader) == len(loop.batches)


def test_the_length_of_an_epoch_of_one_pass_is_known_at_its_start():
    loop, passes = Loop(make("random", epoch="pass")), []
    for _ in range(7):
        lengths = set()
        before = len(loop.batches)
        for ids, inputs, labels in loop.loader:
            lengths.add(len(loop.loader))
            loop.step(ids, inputs, labels)
        assert lengths == {len(loop.batches) - before}
        passes.append(loop.assist.metrics["pass"])
    assert max(lengths) < 0.75 * PLAIN
    # the first epoch is as long as plain training's, as the keep rate is not known yet
    assert np.allclose(np.diff(passes[1:]), 1.0, atol=0.25)


def test_an_epoch_after_one_that_was_left_ends_at_the_end_of_a_pass():
    """Where every item is kept, all items of a pass are kept before its first batch."""
    assist = AutoAssist(1000, 10, strategy="uniform", epoch="pass", inline=True)
    lengths = []
    for steps in (60, 1000):
        for step, ids in enumerate(assist):
            assist.report(ids, torch.ones(len(ids)))
            if step + 1 == steps:
                break
        lengths.append(len(assist))
    assert lengths == [100, 140] and assist.metrics["pass"] == 2.0


def test_an_epoch_may_be_a_number_of_batches():
    loop = Loop(make("random", epoch=7))
    assert len(loop.loader) == 7
    for _ in range(3):
        loop.epoch()
    assert len(loop.batches) == 21 and loop.assist.epoch == 3 and loop.assist.batch == 0


@pytest.mark.parametrize("strategy", ["autoassist", "infobatch"])
@pytest.mark.parametrize(
    "settings",
    [
        {"num_workers": 2},
        {"num_workers": 2, "persistent_workers": True, "prefetch_factor": 4},
        {"pin_memory": True},
    ],
    ids=["workers", "persistent workers", "pinned"],
)
def test_loaders_train_on_the_same_items_with_the_same_losses(strategy, settings):
    expected, found = Loop(make(strategy)), Loop(make(strategy, inline=False), **settings)
    for _ in range(3):
        expected.epoch()
        found.epoch()
    assert found.batches == expected.batches
    assert found.losses == expected.losses
    found.assist.close()


def test_an_epoch_that_is_broken_off_loses_no_item():
    settings = {"num_workers": 2, "persistent_workers": True}
    whole, loop = Loop(make("uniform")), Loop(make("uniform"), **settings)
    for steps in (5, 3, None):
        loop.epoch(steps)
    for _ in range(2):
        whole.epoch()
    assert loop.batches == whole.batches[: len(loop.batches)] and len(loop.batches) == 8 + PLAIN
    assert loop.assist.epoch == 3


def test_losses_are_remembered_under_their_ids():
    """Each item's loss is its id, and reports have a random order."""
    assist = make("infobatch", epoch=4 * PLAIN)
    for step, ids in enumerate(DataLoader(WithIds(range(ITEMS)), batch_sampler=assist)):
        order = torch.randperm(len(ids[0]), generator=torch.Generator().manual_seed(step))
        assist.report(ids[0][order], ids[0][order].float())
    memory = assist._session._exchange._planner.strategy.memory
    known = memory.of(np.arange(ITEMS))
    seen = ~np.isnan(known)
    assert seen.sum() > 0.9 * ITEMS
    assert np.array_equal(known[seen], np.flatnonzero(seen).astype(np.float32))


def test_a_loader_that_takes_more_batches_than_the_lag_is_refused():
    for settings in ({"num_workers": 2, "prefetch_factor": 4}, {"num_workers": 0}):
        assist = make("autoassist", lag=8)
        loader = DataLoader(WithIds(dataset()), batch_sampler=assist, **settings)
        with pytest.raises(AutoAssistError, match=r"8 batches are handed out .* a lag above that"):
            for _ in loader:  # without a report
                pass
    loop = Loop(make("autoassist", lag=9), num_workers=2, prefetch_factor=4)
    loop.epoch()
    assert len(loop.batches) == PLAIN


def test_two_loops_over_one_sampler_are_refused():
    assist = make("uniform")
    first, second = iter(assist), iter(assist)
    next(first)
    next(second)
    with pytest.raises(AutoAssistError, match="two loops read from one AutoAssist"):
        next(first)


def test_a_new_loop_begins_with_the_first_batch_not_reported():
    assist = make("uniform")
    left = [next(iter(assist)) for _ in range(3)]
    assert left[0] == left[1] == left[2]


def test_a_tensor_of_images_is_flattened_to_rows():
    images = torch.from_numpy(points()[0]).reshape(ITEMS, 2, 4)
    loop = Loop(AutoAssist(images, BATCH, inline=True, **STRATEGIES["autoassist"]))
    loop.epoch()
    other = Loop(make("autoassist"))
    other.epoch()
    assert loop.batches == other.batches
