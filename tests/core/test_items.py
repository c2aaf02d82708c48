"""Items: images, without length or bucket, are planned like others; bad arrays are refused."""

from __future__ import annotations

import dataclasses
import pickle
from collections import Counter

import numpy as np
import pytest

from fairseq_autoassist.config import AutoAssistConfig
from fairseq_autoassist.core.batching import BatchLimits
from fairseq_autoassist.core.items import Items
from fairseq_autoassist.core.planner import Planner
from fairseq_autoassist.core.protocol import PlanSpec
from fairseq_autoassist.core.worker.client import Exchange
from fairseq_autoassist.core.worker.process import ProcessExchange
from fairseq_autoassist.text.lengths import pair_items
from tests.support.planning import make_sizes

IMAGES, BATCH = 1000, 16
STRATEGIES = {
    "uniform": {},
    "random": {"keep": 0.6},
    "infobatch": {},
    "spl": {"spl_passes": 4.0},
}


def spec_of(strategy, **changes):
    """Spec of a run over images."""
    spec = PlanSpec(
        config=AutoAssistConfig(strategy, **STRATEGIES[strategy]),
        items=Items(IMAGES),
        limits=BatchLimits(max_items=BATCH),
        seed=1,
        lag=5,
        max_update=400,
    )
    return dataclasses.replace(spec, **changes)


def train(exchange, batches):
    """Train on so many micro-batches, where a third of the images is easy; returns them."""
    trained = []
    for _ in range(batches):
        batch = exchange.next_batch()
        losses = np.where(batch.ids % 3 == 0, 0.01, 2.0).astype(np.float32)
        exchange.report(batch.number, losses, float(batch.number))
        trained.append(batch)
    return trained


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_images_need_no_length_and_no_bucket(strategy):
    batches = train(Exchange(spec_of(strategy)), 200)
    assert sum(len(batch.ids) == BATCH for batch in batches) >= 190  # except at the end of a pass
    assert max(len(batch.ids) for batch in batches) == BATCH
    totals = batches[-1].totals
    assert (totals.considered_cost, totals.kept_cost) == (totals.considered, totals.kept)
    assert totals.kept == totals.considered if strategy == "uniform" else totals.kept > 0
    seen = {i for batch in batches for i in batch.ids.tolist()}
    assert seen <= set(range(IMAGES)) and len(seen) > 0.6 * IMAGES
    assert len(seen) == IMAGES or strategy in ("random", "spl")


@pytest.mark.parametrize("world_size", [1, 3])
def test_every_image_is_trained_on_once_a_pass(world_size):
    seen = Counter()
    for rank in range(world_size):
        planner = Planner(spec_of("uniform", rank=rank, world_size=world_size))
        while planner.stream.position[0] < 3 or planner._ready:
            batch = planner.plan()
            planner.receive(batch.number, None)
            seen.update(batch.ids.tolist())
    assert seen == Counter(dict.fromkeys(range(IMAGES), 3))


def test_batches_per_pass_follow_from_the_number_of_items(monkeypatch):
    assert spec_of("uniform").batches_per_pass == -(-IMAGES // BATCH)
    some = Items(IMAGES, eligible=np.arange(0, IMAGES, 2))
    assert spec_of("uniform", items=some).batches_per_pass == -(-IMAGES // 2 // BATCH)
    monkeypatch.setattr("fairseq_autoassist.core.cutting.MOST_ITEMS", 0)
    assert spec_of("uniform", items=some).batches_per_pass == IMAGES / 2 / BATCH


def test_a_worker_process_and_a_resume_make_the_same_batches_of_images():
    whole = [batch.ids.tolist() for batch in train(Exchange(spec_of("infobatch")), 120)]
    first = ProcessExchange(spec_of("infobatch"))
    try:
        made = train(first, 50)
        state = first.state_dict()
    finally:
        first.close()
    made += train(Exchange(spec_of("infobatch"), state), 70)
    assert [batch.ids.tolist() for batch in made] == whole


@pytest.mark.parametrize("unit", [1, 2**33])
def test_the_cost_of_items_is_counted(unit):
    cost = np.arange(IMAGES) % 7 * unit
    spec = spec_of("random", items=Items(IMAGES, cost=cost), chunk=IMAGES)
    planner = Planner(spec)
    while planner.stream.position[0] < 1:
        totals = planner.plan().totals
    assert totals.considered_cost == cost.sum()
    assert 0.5 < totals.kept_cost / totals.considered_cost < 0.7


def test_pickled_items_are_small_and_complete():
    """An array under two names is sent once."""
    source, target = make_sizes(100_000)
    eligible = np.arange(0, 100_000, 3)
    items = pair_items(source, target, BatchLimits(max_size=4000, multiple=8), eligible)
    sent = pickle.dumps(items)
    assert len(sent) < 100_000 * (1 + 1 + 2 + 1 / 8) + 2000
    arrived = pickle.loads(sent)
    np.testing.assert_array_equal(arrived.eligible, eligible)
    np.testing.assert_array_equal(arrived.cost, target)
    np.testing.assert_array_equal(arrived.difficulty, source)
    np.testing.assert_array_equal(arrived.sizes, np.maximum(source, target))
    np.testing.assert_array_equal(arrived.buckets[0], items.bucket)
    assert arrived.cost is arrived.lengths[1] and arrived.buckets[1] == items.bucket.max() + 1


@pytest.mark.parametrize("name", ["cost", "bucket", "difficulty", "lengths"])
def test_arrays_that_do_not_fit_are_refused(name):
    def items(values):
        return Items(4, **{name: (values,) if name == "lengths" else values})

    items(np.array([1, 2, 70_000, 0]))
    with pytest.raises(ValueError, match=f"{name} has 3 values, expected 4"):
        items(np.array([1, 2, 3]))
    with pytest.raises(ValueError, match=f"{name} has the value -2, expected none below 0"):
        items(np.array([1, -2, 3, 4]))
