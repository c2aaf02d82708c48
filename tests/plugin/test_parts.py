"""Parts of the plugin one by one: rows, flags, the loader, the iterator's epochs."""

import argparse
import dataclasses
import weakref
from argparse import Namespace

import numpy as np
import pytest
from fairseq import checkpoint_utils
from fairseq.data.iterators import CountingIterator, GroupedIterator
from fairseq.dataclass.utils import gen_parser_from_dataclass

from fairseq_autoassist.config import AutoAssistConfig, flag
from fairseq_autoassist.core.batching import BatchLimits
from fairseq_autoassist.core.progress import Progress
from fairseq_autoassist.core.protocol import Totals, rows_to_positions
from fairseq_autoassist.errors import ConfigError
from fairseq_autoassist.plugin.config import TranslationAutoAssistConfig
from fairseq_autoassist.plugin.dataset import EpochSampler
from fairseq_autoassist.plugin.iterator import (
    AutoAssistEpochIterator,
    Loader,
    prefetched_batches,
)
from fairseq_autoassist.plugin.ranks import Ranks, gather_before_saving
from fairseq_autoassist.plugin.restoring import whole_updates
from fairseq_autoassist.plugin.shards import Shards
from tests.support.planning import make_spec


def test_rows_find_their_positions_even_when_an_id_comes_twice():
    ids, rows = np.array([9, 4, 4, 7]), np.array([4, 7, 9, 4])
    order = rows_to_positions(rows, ids)
    assert ids[order].tolist() == rows.tolist()
    assert sorted(order.tolist()) == [0, 1, 2, 3]


def test_every_setting_is_a_flag_with_help_and_the_default_of_the_config():
    parser = argparse.ArgumentParser()
    gen_parser_from_dataclass(parser, TranslationAutoAssistConfig())
    actions = {
        action.option_strings[0]: action for action in parser._actions[1:] if action.option_strings
    }
    for name, value in dataclasses.asdict(AutoAssistConfig()).items():
        assert actions[flag(name)].default == value
        assert actions[flag(name)].help


@pytest.mark.parametrize(
    "setting",
    [
        {"eta": -1.0},
        {"eta": float("nan")},
        {"weight_decay": 0.6},
        {"threshold_decay": 1.0},
        {"gamma_decay": -0.1},
        {"floor": 1.1},
        {"guard_pairs": -1},
        {"timeout": 0.0},
        {"competence_by": "age"},
        {"on_failure": "panic"},
    ],
)
def test_settings_out_of_range_are_refused_by_name(setting):
    ((name, value),) = setting.items()
    with pytest.raises(ConfigError, match=f"{flag(name)} is '?{value}'?, expected"):
        AutoAssistConfig(**setting)


def test_prefetched_batches_are_as_many_as_fairseqs_loader_was_seen_to_take():
    settings = [(0, 0), (1, 0), (1, 10), (4, 10)]
    assert [prefetched_batches(*setting) for setting in settings] == [0, 2, 13, 19]


def test_a_loader_that_reads_far_ahead_gets_a_longer_lag():
    """Cover the batches in the loader, and two updates: an overflow shows only during the next."""
    assert Loader(0, 0, (1,)).lag == 32
    for workers, buffer, update_freq in ((16, 20, (4,)), (0, 20, (1, 16)), (1, 20, (8, 2))):
        held = prefetched_batches(workers, buffer) + 2 * max(update_freq)
        assert Loader(workers, buffer, update_freq).lag > held > 32
    # --update-freq 4,2: the last one stays in force
    assert [Loader(0, 0, (4, 2)).update_freq_of(epoch) for epoch in (1, 2, 3)] == [4, 2, 2]


def test_a_loader_that_is_never_released_does_not_keep_its_run():
    class Run:
        def next_batch(self):
            return 7

    run = Run()
    sampler = EpochSampler(run.next_batch)
    sampler.length = 3
    batches = iter(sampler)  # as fairseq's buffering thread holds it after --max-update
    assert next(batches) == [7]
    gone = weakref.ref(run)
    del run
    assert gone() is None and list(batches) == []


def test_the_iterators_epochs_follow_what_was_trained_on():
    spec, loader = make_spec(20_000, strategy="random", keep=0.4), Loader(0, 0, (1,))
    words = (None, spec, 1, loader, Shards(), Ranks(0, 1))
    iterator = AutoAssistEpochIterator(*words)
    whole = iterator._agreed_length(None)
    progress = Progress(3.0, 0.4, Totals(batches=3000, batched=60_000))
    assert iterator._agreed_length(progress) == 400
    # a new data-bin begins with the keep rate of the one before
    shards = iterator.shards
    shards.own({"trained": 3000}, progress, spec)
    shards.current = 1
    assert iterator._agreed_length(None) == pytest.approx(0.4 * whole, abs=1)


@pytest.mark.parametrize("skip", [False, True])
def test_a_whole_pass_may_end_in_a_short_update_as_fairseqs_does(skip):
    spec = make_spec(1001, limits=BatchLimits(max_items=7))
    stock, loader = int(spec.batches_per_pass), Loader(0, 0, (2,), skip)
    assert stock % 2 == 1
    words = (None, spec, 1, loader, Shards(), Ranks(0, 1))
    iterator = AutoAssistEpochIterator(*words)
    assert iterator._agreed_length(None) == (stock + 1 if skip else stock)
    # a resumed pass may end so too
    left = whole_updates(4, stock, stock - 4, 2, iterator._unit())
    assert left == {"offset": 4, "length": stock + 1 if skip else stock}
    groups = GroupedIterator(CountingIterator(iter(range(4, stock)), 4, stock), 2)
    assert groups.n == 2 and [len(group) for group in groups][-1] == 1
    # an epoch that began under another update_freq
    assert whole_updates(3, stock, stock - 3, 2, 1)["offset"] == 4


def test_states_of_other_ranks_are_held_only_while_a_checkpoint_is_saved(monkeypatch):
    words = (None, make_spec(200), 1, Loader(0, 0, (1,)), Shards(), Ranks(0, 1))
    iterator = AutoAssistEpochIterator(*words)
    held = []

    def save(cfg, trainer, epoch_itr, val_loss):
        held.append(epoch_itr._gathered)
        if cfg.fails:
            raise OSError("disk full")

    monkeypatch.setattr(checkpoint_utils, "save_checkpoint", save)
    gather_before_saving()
    checkpoint_utils.save_checkpoint(Namespace(no_save=False, fails=False), None, iterator, None)
    with pytest.raises(OSError):
        checkpoint_utils.save_checkpoint(Namespace(no_save=False, fails=True), None, iterator, None)
    assert [len(states) for states in held] == [1, 1] and iterator._gathered is None


@pytest.mark.parametrize("update_freq", [1, 2, 3, 4])
@pytest.mark.parametrize("offset, length", [(3, 10), (6, 10), (9, 10), (0, 10), (4, 5), (10, 30)])
@pytest.mark.parametrize("skip", [False, True])
def test_a_resumed_epoch_is_whole_updates_of_another_update_freq(offset, length, update_freq, skip):
    """Give fairseq a number of batches that divides: else it would never finish the epoch."""
    begun = whole_updates(offset, length, length - offset, update_freq)
    batches = CountingIterator(iter(range(begun["offset"], 99)), begun["offset"], begun["length"])
    groups = list(GroupedIterator(batches, update_freq, skip_remainder_batch=skip))
    assert groups and {len(group) for group in groups} == {update_freq}
    assert not batches.has_next()
    left = begun["length"] - begun["offset"]
    assert left == len(groups) * update_freq and abs(left - (length - offset)) < update_freq
    if offset % update_freq == length % update_freq == 0:
        assert begun == {"offset": offset, "length": length}
