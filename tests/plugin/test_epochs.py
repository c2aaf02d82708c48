"""Batches and the length of an epoch, held against fairseq's own."""

import dataclasses

import numpy as np
import pytest
from fairseq.data import data_utils

from fairseq_autoassist.core import cutting
from fairseq_autoassist.core.batching import BatchLimits
from fairseq_autoassist.core.planner import Planner
from fairseq_autoassist.core.progress import Progress
from fairseq_autoassist.core.protocol import Totals
from fairseq_autoassist.core.worker.client import Exchange
from fairseq_autoassist.plugin.epochs import (
    epoch_length,
    stock_batches,
    stock_iterations,
)
from fairseq_autoassist.text.binarized import BinarizedSide
from tests.support.corpus import multi30k_data_bin
from tests.support.planning import make_spec, sizes_of, tokens_of, with_pairs

LIMITS = BatchLimits(max_size=1500, multiple=8)


@pytest.fixture(scope="module")
def multi30k_sizes():
    folder = multi30k_data_bin(29_000, 100)
    return [BinarizedSide(f"{folder}/train.en-de.{lang}").sizes for lang in ("en", "de")]


def test_padding_is_within_two_percent_of_fairseqs_own_batches(multi30k_sizes):
    source, target = multi30k_sizes
    for max_tokens in (1500, 4096):
        limits = BatchLimits(max_size=max_tokens, multiple=8)
        spec = make_spec_of(source, target, limits)
        # without losses infobatch keeps every pair
        buckets = dataclasses.replace(spec.config, strategy="infobatch")
        planner = Planner(dataclasses.replace(spec, config=buckets))
        ours = []
        while planner.stream.position[0] < 5:
            batch = planner.plan()
            planner.receive(batch.number, None)
            ours.append(batch.ids)
        stock = stock_batch_ids(source, target, limits)
        ratio = padding(ours, source, target) / padding(stock, source, target)
        assert ratio <= 1.02, f"max-tokens {max_tokens}: {ratio:.4f} times fairseq's padded size"


def make_spec_of(source, target, limits):
    return with_pairs(make_spec(limits=limits, lag=32), source, target)


def stock_batch_ids(source, target, limits):
    """Batches of LanguagePairDataset: sorted by target, then source length."""
    tokens = np.maximum(source, target).astype(np.int64)
    order = np.random.RandomState(1).permutation(len(source))
    order = order[np.argsort(target[order], kind="mergesort")]
    order = order[np.argsort(source[order], kind="mergesort")]
    return data_utils.batch_by_size(
        order,
        lambda i: tokens[i],
        num_tokens_vec=tokens[order],
        max_tokens=limits.max_size,
        required_batch_size_multiple=limits.multiple,
    )


def padding(batches, source, target):
    """Padded size over real size, both sides together."""
    padded = sum(len(b) * (int(source[b].max()) + int(target[b].max())) for b in batches)
    return padded / sum(int(source[b].sum() + target[b].sum()) for b in batches)


def fairseqs_batches(spec):
    """Batches that fairseq's translation task makes of these pairs."""
    tokens, eligible = tokens_of(spec), spec.items.eligible
    ids = np.arange(len(tokens)) if eligible is None else eligible
    for sizes in reversed(sizes_of(spec)):
        ids = ids[np.argsort(sizes[ids], kind="mergesort")]
    limits = spec.limits
    words = limits.max_size, limits.max_items, limits.multiple
    return data_utils.batch_by_size(ids, tokens.__getitem__, tokens[ids], *words)


def epochs(spec, count, update_freq=1, world_size=1):
    """Length of each of the first epochs of a run, and the pairs that all ranks train on."""
    specs = [dataclasses.replace(spec, rank=r, world_size=world_size) for r in range(world_size)]
    exchanges = [Exchange(spec) for spec in specs]
    progress, found = [None] * world_size, []
    for _ in range(count):
        mine: list[float] = []
        for one, so_far in zip(specs, progress):
            epoch_length(one, so_far, update_freq, mean=lambda x, all=mine: all.append(x) or x)
        mean = sum(mine) / world_size
        length = epoch_length(specs[0], progress[0], update_freq, mean=lambda _, mean=mean: mean)
        trained = 0
        for rank, exchange in enumerate(exchanges):
            for _ in range(length):
                batch = exchange.next_batch()
                exchange.report(batch.number, None)
                trained += len(batch.ids)
            progress[rank] = Progress.of(batch)
        found.append((length, trained))
    return found


def test_an_epoch_trains_on_one_pass(multi30k_sizes):
    source, target = multi30k_sizes
    spec = make_spec_of(source, target, LIMITS)
    lengths, pairs = zip(*epochs(spec, 4, update_freq=4))
    assert not any(length % 4 for length in lengths)
    assert lengths[0] == -(-len(fairseqs_batches(spec)) // 4) * 4
    assert sum(pairs) == pytest.approx(4 * len(source), rel=0.005)


def test_on_a_small_corpus_the_first_epoch_has_as_many_batches_as_fairseqs():
    """Count the batches although a quarter of the pairs wait in open buckets."""
    for pairs in (200, 1000):
        spec = make_spec(pairs)
        lengths, trained = zip(*epochs(spec, 5))
        assert lengths[0] == len(fairseqs_batches(spec))
        assert sum(trained) == pytest.approx(5 * pairs, rel=0.02)


@pytest.mark.parametrize("world_size", [1, 2, 8])
@pytest.mark.parametrize("pairs, seed", [(500, 1), (1000, 2), (1003, 3), (5000, 4)])
@pytest.mark.parametrize("limits", [(200, None, 8), (1000, None, 8), (500, None, 8), (None, 20, 8)])
def test_every_epoch_of_plain_training_has_as_many_batches_as_fairseqs(
    limits, pairs, seed, world_size
):
    spec = make_spec(pairs, seed=seed, limits=BatchLimits(*limits))
    # fairseq gives an empty batch to ranks that have one fewer
    stock = -(-len(fairseqs_batches(spec)) // world_size)
    lengths, trained = zip(*epochs(spec, 5, world_size=world_size))
    assert max(abs(length - stock) for length in lengths) <= stock / 100
    np.testing.assert_allclose(np.cumsum(trained), pairs * np.arange(1, 6), rtol=0.01)


def test_an_epoch_follows_the_keep_rate():
    spec = make_spec(20_000, strategy="random", keep=0.4)
    progress = Progress(passes=3.0, keep_rate=1.0, totals=Totals(batches=3000, batched=60_000))
    whole = epoch_length(spec, progress, 1)
    assert whole == 1000
    assert epoch_length(spec, progress._replace(keep_rate=0.4), 1) == 400
    assert epoch_length(spec, progress._replace(keep_rate=0.0001), 8) == 8
    assert epoch_length(spec, progress._replace(passes=3.25), 1) == 750  # to the end of the pass
    # a hundredth of the pairs of a pass waits in buckets, and is not trained on yet
    waiting = progress._replace(totals=progress.totals._replace(kept=60_200))
    assert epoch_length(spec, waiting, 1) == 1010
    # one of four ranks, or a quarter of the pairs: a quarter of the length
    four = dataclasses.replace(spec, world_size=4)
    short = with_pairs(spec, eligible=np.arange(5000))
    for part in (four, short):
        assert epoch_length(part, progress, 1) == 250
        assert stock_batches(part) == pytest.approx(stock_batches(spec) / 4, rel=0.02)
        assert epoch_length(part, None, 1) == pytest.approx(
            epoch_length(spec, None, 1) / 4, rel=0.02
        )


def test_the_length_of_an_epoch_is_the_mean_over_the_ranks():
    progress = Progress(passes=3.0, keep_rate=0.4, totals=Totals(batches=3000, batched=60_000))
    for strategy in ("random", "uniform"):  # in buckets, and in whole passes
        spec = make_spec(20_000, strategy=strategy, world_size=2)
        asked = []
        length = epoch_length(spec, progress, 4, mean=lambda x, asked=asked: asked.append(x) or 0.0)
        assert len(asked) == 1 and asked[0] > 0.0
        assert length == {"random": 4, "uniform": epoch_length(spec, None, 4)}[strategy]


@pytest.mark.parametrize(
    "limits",
    [
        *[BatchLimits(max_size=200, multiple=8), BatchLimits(max_size=200, multiple=1)],
        *[BatchLimits(max_size=4000, multiple=8), BatchLimits(max_items=20, multiple=8)],
        BatchLimits(max_size=1000, max_items=20, multiple=1),
    ],
)
def test_fairseqs_batches_are_counted_and_of_large_corpora_estimated(limits, monkeypatch):
    every = make_spec(5000, limits=limits)
    some = with_pairs(every, eligible=np.arange(0, 5000, 3))
    for spec in (every, some, make_spec(3, limits=limits)):
        assert stock_batches(spec) == max(1, len(fairseqs_batches(spec)))
    monkeypatch.setattr(cutting, "MOST_ITEMS", 0)
    for spec in (every, some):
        spec = dataclasses.replace(spec)  # without the count that it keeps
        tokens, eligible = tokens_of(spec), spec.items.eligible
        ids = np.arange(5000) if eligible is None else eligible
        ids = ids[np.argsort(tokens[ids], kind="stable")]
        words = limits.max_size, limits.max_items, limits.multiple
        own = data_utils.batch_by_size(ids, tokens.__getitem__, tokens[ids], *words)
        assert 0.9 * len(own) - 1 <= stock_batches(spec) < len(own) + 1


def test_fairseqs_own_iterator_can_resume_from_our_position():
    spec = make_spec(20_000)
    last = stock_batches(spec)
    assert stock_iterations(spec, 0, 100) == 0
    for offset in range(1, 101):
        assert 1 <= stock_iterations(spec, offset, 100) < last
    assert stock_iterations(spec, 50, 100) == pytest.approx(last / 2, rel=0.02)
