"""Adapters one by one: rows, flags, epoch length, padding."""

import argparse
import dataclasses
import weakref
from argparse import Namespace

import numpy as np
import pytest
from fairseq import checkpoint_utils
from fairseq.data import data_utils
from fairseq.data.iterators import CountingIterator, GroupedIterator
from fairseq.dataclass.utils import gen_parser_from_dataclass

from fairseq_autoassist.config import AutoAssistConfig, flag
from fairseq_autoassist.core.batching import BatchLimits, pair_tokens
from fairseq_autoassist.core.epochs import (
    Progress,
    epoch_length,
    stock_batches,
    stock_iterations,
)
from fairseq_autoassist.core.exchange import Exchange
from fairseq_autoassist.core.plan import Totals
from fairseq_autoassist.core.planner import Planner
from fairseq_autoassist.errors import ConfigError
from fairseq_autoassist.plugin.config import TranslationAutoAssistConfig
from fairseq_autoassist.plugin.dataset import EpochSampler, rows_to_positions
from fairseq_autoassist.plugin.iterator import (
    AutoAssistEpochIterator,
    Loader,
    prefetched_batches,
)
from fairseq_autoassist.plugin.ranks import Ranks, gather_before_saving
from fairseq_autoassist.plugin.shards import Shards, _whole_updates
from fairseq_autoassist.tfidf.binarized import BinarizedSide
from tests.support.corpus import multi30k_data_bin
from tests.support.planning import make_spec

LIMITS = BatchLimits(max_tokens=1500, multiple=8)


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
        {"gamma_max": 1.1},
        {"guard_pairs": -1},
        {"timeout": 0.0},
        {"threshold_from": "some"},
        {"on_failure": "panic"},
    ],
)
def test_settings_out_of_range_are_refused_by_name(setting):
    ((name, value),) = setting.items()
    with pytest.raises(ConfigError, match=f"{flag(name)} is '?{value}'?, expected"):
        AutoAssistConfig(**setting)


def test_prefetch_is_what_was_seen_of_fairseqs_loader():
    settings = [(0, 0), (1, 0), (1, 10), (4, 10)]
    assert [prefetched_batches(*setting) for setting in settings] == [0, 2, 13, 19]


@pytest.fixture(scope="module")
def multi30k_sizes():
    folder = multi30k_data_bin(29_000, 100)
    return [BinarizedSide(f"{folder}/train.en-de.{lang}").sizes for lang in ("en", "de")]


def test_padding_is_within_two_percent_of_fairseqs_own_batches(multi30k_sizes):
    source, target = multi30k_sizes
    for max_tokens in (1500, 4096):
        limits = BatchLimits(max_tokens=max_tokens, multiple=8)
        spec = make_spec_of(source, target, limits)
        planner = Planner(spec)
        ours = []
        while planner.stream.position[0] < 5:
            batch = planner.plan()
            planner.receive(batch.number, None)
            ours.append(batch.ids)
        stock = stock_batch_ids(source, target, limits)
        ratio = padding(ours, source, target) / padding(stock, source, target)
        assert ratio <= 1.02, f"max-tokens {max_tokens}: {ratio:.4f} times fairseq's padded size"


def make_spec_of(source, target, limits):
    return dataclasses.replace(
        make_spec(limits=limits, lag=32), source_sizes=source, target_sizes=target
    )


def stock_batch_ids(source, target, limits):
    """Batches of LanguagePairDataset: sorted by target, then source length."""
    tokens = pair_tokens(source, target).astype(np.int64)
    order = np.random.RandomState(1).permutation(len(source))
    order = order[np.argsort(target[order], kind="mergesort")]
    order = order[np.argsort(source[order], kind="mergesort")]
    return data_utils.batch_by_size(
        order,
        lambda i: tokens[i],
        num_tokens_vec=tokens[order],
        max_tokens=limits.max_tokens,
        required_batch_size_multiple=limits.multiple,
    )


def padding(batches, source, target):
    """Padded size over real size, both sides together."""
    padded = sum(len(b) * (int(source[b].max()) + int(target[b].max())) for b in batches)
    return padded / sum(int(source[b].sum() + target[b].sum()) for b in batches)


def test_a_loader_that_reads_far_ahead_gets_a_lag_that_lasts():
    """Two updates are under way while an overflow is seen, and the loader holds its own beside."""
    assert Loader(0, 0, (1,)).lag == 32
    for workers, buffer, update_freq in ((16, 20, (4,)), (0, 20, (1, 16)), (1, 20, (8, 2))):
        held = prefetched_batches(workers, buffer) + 2 * max(update_freq)
        assert Loader(workers, buffer, update_freq).lag > held > 32
    # --update-freq 4,2: the last one stays in force
    assert [Loader(0, 0, (4, 2)).update_freq_of(epoch) for epoch in (1, 2, 3)] == [4, 2, 2]


def test_a_loader_that_is_never_let_go_of_does_not_keep_its_run():
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


def test_an_epoch_is_about_one_pass(multi30k_sizes):
    source, target = multi30k_sizes
    spec = make_spec_of(source, target, LIMITS)
    exchange, progress, passes = Exchange(spec), None, [0.0]
    for _ in range(4):
        length = epoch_length(spec, progress, update_freq=4)
        assert length % 4 == 0
        for _ in range(length):
            batch = exchange.next_batch()
            exchange.report(batch.number, None)
        progress = Progress.of(batch)
        passes.append(progress.passes)
    assert passes[1] == pytest.approx(1.0, abs=0.15)  # before batches were measured
    assert passes[2:] == pytest.approx([2.0, 3.0, 4.0], abs=0.05)  # and it does not drift


def test_an_epoch_follows_the_keep_rate():
    spec = make_spec(20_000)
    progress = Progress(passes=3.0, keep_rate=1.0, totals=Totals(batches=3000, batched=60_000))
    whole = epoch_length(spec, progress, 1)
    assert whole == 1000
    assert epoch_length(spec, progress._replace(keep_rate=0.4), 1) == 400
    assert epoch_length(spec, progress._replace(keep_rate=0.0001), 8) == 8
    assert epoch_length(spec, progress._replace(passes=3.25), 1) == 750  # to the end of the pass
    # of each of four ranks, and of the pairs that may be trained on
    four = dataclasses.replace(spec, world_size=4)
    short = dataclasses.replace(spec, eligible=np.arange(5000))
    for part in (four, short):
        assert epoch_length(part, progress, 1) == 250
        assert stock_batches(part) == pytest.approx(stock_batches(spec) / 4, rel=0.02)
        assert epoch_length(part, None, 1) == pytest.approx(
            epoch_length(spec, None, 1) / 4, rel=0.02
        )


@pytest.mark.parametrize(
    "limits",
    [
        *[BatchLimits(max_tokens=200, multiple=8), BatchLimits(max_tokens=200, multiple=1)],
        *[BatchLimits(max_tokens=4000, multiple=8), BatchLimits(max_sentences=20, multiple=8)],
        BatchLimits(max_tokens=1000, max_sentences=20, multiple=1),
    ],
)
def test_the_estimate_of_fairseqs_batches_is_not_far_below_them(limits):
    every = make_spec(5000, limits=limits)
    for spec in (every, dataclasses.replace(every, eligible=np.arange(0, 5000, 3))):
        tokens = np.maximum(spec.source_sizes, spec.target_sizes).astype(np.int64)
        ids = np.arange(5000) if spec.eligible is None else spec.eligible
        ids = ids[np.argsort(tokens[ids], kind="stable")]
        words = limits.max_tokens, limits.max_sentences, limits.multiple
        own = data_utils.batch_by_size(ids, tokens.__getitem__, tokens[ids], *words)
        assert 0.9 * len(own) - 1 <= stock_batches(spec) < len(own) + 1


def test_the_iterators_epochs_follow_what_was_trained_on():
    spec, loader = make_spec(20_000), Loader(0, 0, (1,))
    words = (None, spec, 1, loader, Shards(), Ranks(0, 1), lambda: None)
    iterator = AutoAssistEpochIterator(*words)
    whole = iterator._agreed_length()
    iterator._progress = Progress(3.0, 0.4, Totals(batches=3000, batched=60_000))
    assert iterator._agreed_length() == 400
    # on a data-bin seen for the first time as many are kept as on the one before
    shards = iterator.shards
    shards.own({"trained": 3000}, iterator._progress, spec)
    shards.current, iterator._progress = 1, None
    assert iterator._agreed_length() == pytest.approx(0.4 * whole, abs=1)


def test_states_of_other_ranks_are_held_only_while_one_is_saved(monkeypatch):
    words = (None, make_spec(200), 1, Loader(0, 0, (1,)), Shards(), Ranks(0, 1), lambda: None)
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
    """fairseq groups what is left, and never finishes an epoch that does not divide."""
    begun = _whole_updates(offset, length, length - offset, update_freq)
    batches = CountingIterator(iter(range(begun["offset"], 99)), begun["offset"], begun["length"])
    groups = list(GroupedIterator(batches, update_freq, skip_remainder_batch=skip))
    assert groups and {len(group) for group in groups} == {update_freq}
    assert not batches.has_next()
    left = begun["length"] - begun["offset"]
    assert left == len(groups) * update_freq and abs(left - (length - offset)) < update_freq
    if offset % update_freq == length % update_freq == 0:
        assert begun == {"offset": offset, "length": length}


def test_fairseqs_own_iterator_can_go_on_from_our_position():
    spec = make_spec(20_000)
    last = stock_batches(spec)
    assert stock_iterations(spec, 0, 100) == 0
    for offset in range(1, 101):
        assert 1 <= stock_iterations(spec, offset, 100) < last
    assert stock_iterations(spec, 50, 100) == pytest.approx(last / 2, rel=0.02)
