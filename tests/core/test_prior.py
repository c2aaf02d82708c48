"""Prior in the planner: kept pairs, uniform marks and weights."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from fairseq_autoassist.core.planner import Planner
from fairseq_autoassist.core.prior import Prior
from fairseq_autoassist.core.resize import redistribute
from fairseq_autoassist.core.stream import pass_coins
from fairseq_autoassist.core.worker.client import Exchange
from fairseq_autoassist.core.worker.process import ProcessExchange
from tests.support.planning import make_spec, with_pairs
from tests.support.strategies import (
    PAIRS,
    START,
    RareFeatures,
    losses_of,
    mapped,
    prior_of,
    spec_of,
    teach,
    train,
)

PASSES = 60


def weighed(case: str, prior: Prior | None = None, **named) -> Planner:
    """Planner for a case under a prior."""
    spec = spec_of(case, **named)
    return Planner(dataclasses.replace(spec, prior=prior or prior_of()), RareFeatures())


def considered(planner: Planner, passes: int) -> np.ndarray:
    """Pairs kept in so many passes, an array of `KEPT`; the strategy learns nothing meanwhile."""
    found = []
    while planner.stream.position[0] < passes:
        planner._consider()
        found += planner._ready
        planner._ready.clear()
    return np.concatenate([*found, planner.buckets.take_all()])


def times_kept(kept: np.ndarray) -> np.ndarray:
    return np.bincount(kept["id"], minlength=PAIRS)


def passes_below(probability: np.ndarray, passes: int = PASSES, seed: int = 1) -> np.ndarray:
    """Number of passes in which each pair's coin is below its probability: int64 (PAIRS,)."""
    coins = [pass_coins(seed, number, PAIRS) for number in range(passes)]
    return sum((coin < probability).astype(int) for coin in coins)


def test_the_prior_alone_keeps_a_pair_as_often_as_it_says() -> None:
    kept = considered(weighed("prior"), PASSES)
    prior = prior_of().of(np.arange(PAIRS))
    np.testing.assert_array_equal(times_kept(kept), passes_below(prior))
    assert kept["uniform"].all() and (kept["weight"] == 1.0).all()
    # three standard errors of 24,000 coins
    assert times_kept(kept).mean() / PASSES == pytest.approx(prior.mean(), abs=0.01)


def test_keep_probability_and_uniform_slice_are_multiplied_by_the_prior() -> None:
    planner, ids = weighed("autoassist by default"), np.arange(PAIRS)
    teach(planner.strategy, 80)
    own, share, _ = planner.strategy.choose(ids, START)
    assert np.ptp(own) > 0.2 and 0.2 < share < 0.9
    kept, prior = considered(planner, PASSES), prior_of().of(ids)
    np.testing.assert_array_equal(times_kept(kept), passes_below(own * prior))
    np.testing.assert_array_equal(times_kept(kept[kept["uniform"]]), passes_below(share * prior))


def test_weights_do_not_depend_on_the_prior() -> None:
    """A kept pair has the same weight with a prior and with none."""
    weights = []
    for prior in (prior_of(), Prior(np.ones(PAIRS, np.float32), 1.0)):
        planner = weighed("infobatch", prior)
        teach(planner.strategy, 80)
        kept = considered(planner, 1)
        found = np.full(PAIRS, np.nan, np.float32)
        found[kept["id"]] = kept["weight"]
        weights.append(found)
    both = ~np.isnan(weights).any(axis=0)
    assert both.sum() > 60 and np.ptp(weights[0][both]) > 0.3
    np.testing.assert_array_equal(weights[0][both], weights[1][both])


@pytest.mark.parametrize("case", ["uniform", "random"])
def test_the_controls_have_no_prior(case: str) -> None:
    plain = Planner(spec_of(case), RareFeatures())
    kept, expected = considered(weighed(case), 3), considered(plain, 3)
    assert kept.tolist() == expected.tolist()
    assert weighed(case)._keep_rate == 1.0


def test_a_prior_of_one_changes_nothing() -> None:
    ones = Prior(np.ones(PAIRS, np.float32), 0.001)
    for case in ("autoassist", "infobatch", "spl", "competence by length"):
        plain = train(Planner(spec_of(case), RareFeatures()), 60)
        found = train(weighed(case, ones), 60)
        assert [b.kept.tolist() for b in found] == [b.kept.tolist() for b in plain]
        assert [b.keep_rate for b in found] == [b.keep_rate for b in plain]


def test_the_uniform_slice_is_weighed_by_the_prior() -> None:
    """Junk is rare among uniformly kept pairs, from which the guard judges."""
    planner = weighed("autoassist with a prior")
    batches = train(planner, 60)
    uniform = np.concatenate([b.kept[b.kept["uniform"]]["id"] for b in batches])
    assert len(uniform) > 200 and (uniform % 3 == 0).mean() < 0.05


def test_the_prior_still_decides_after_the_assistant_stopped() -> None:
    planner, prior = weighed("autoassist by default"), prior_of().of(np.arange(PAIRS))
    teach(planner.strategy, 80)
    planner.strategy.stop_shrinking()
    np.testing.assert_array_equal(times_kept(considered(planner, PASSES)), passes_below(prior))
    failed = weighed("autoassist by default")
    teach(failed.strategy, 80)
    teach(failed.strategy, 1, losses=lambda ids: np.full(len(ids), np.nan, np.float32))
    np.testing.assert_array_equal(times_kept(considered(failed, PASSES)), passes_below(prior))


def test_pairs_kept_in_catching_up_count_in_the_keep_rate() -> None:
    """The keep rate is then the mean prior, not 1."""
    spec = dataclasses.replace(spec_of("autoassist by default"), prior=prior_of())
    planner = Planner(spec, RareFeatures())
    delivered = train(planner, 40)
    successor = Planner(dataclasses.replace(spec, abandoned=True), RareFeatures())
    successor.catch_up(delivered)
    mean = prior_of().mean()
    totals = successor._totals
    assert totals.kept / totals.considered == pytest.approx(mean, abs=0.05)
    assert successor._keep_rate == pytest.approx(mean, abs=0.12)


# -- a rank that keeps nothing --------------------------------------------------------------------


def starving(values: np.ndarray, floor: float = 1e-6) -> Planner:
    """Planner under a prior that lets next to nothing through."""
    spec = make_spec(len(values), strategy="prior", chunk=16, seed=5)
    return Planner(dataclasses.replace(spec, prior=Prior(values.astype(np.float32), floor)))


def test_where_the_prior_lets_nothing_through_the_highest_are_kept() -> None:
    values = np.zeros(64)
    values[::8] = 2e-6  # below every coin of three passes
    batches = train(starving(values), 3)
    said = [message for batch in batches for message in batch.messages]
    assert ["no item was kept in two passes" in item.text for item in said] == [True]
    trained = np.concatenate([batch.ids for batch in batches])
    assert len(trained) and (trained % 8 == 0).all()
    assert not any(batch.kept["uniform"].any() for batch in batches)
    assert batches[0].position[0] >= 4  # first the prior alone decides for a pass


def test_where_the_strategy_keeps_nothing_the_prior_still_decides() -> None:
    """The strategy keeps one pair of 100, and the prior of that pair is about 0."""
    settings = {"strategy": "competence", "competence_by": "length"}
    spec = dataclasses.replace(make_spec(100, chunk=100, **settings), max_update=5000)
    sizes = np.full(100, 20, np.int32)
    sizes[0] = 3
    spec = with_pairs(spec, sizes, sizes)
    values = np.where(np.arange(100) < 50, 0.0, 0.5).astype(np.float32)
    planner = Planner(dataclasses.replace(spec, prior=Prior(values, 1e-6)))
    batch = planner.plan()
    assert len(batch.messages) == 1 and batch.position == (4, 0)
    coins = pass_coins(1, 3, 100)
    kept = set(np.flatnonzero(coins < np.maximum(values, 1e-6)).tolist())
    held = np.concatenate([batch.kept, *planner._ready, planner.buckets.take_all()])
    assert set(held["id"].tolist()) == kept and min(kept) >= 50


# -- keep rate, ranks, worker ---------------------------------------------------------------------


@pytest.mark.parametrize("eligible", [None, np.arange(0, PAIRS, 3), np.arange(1, PAIRS, 3)])
def test_the_keep_rate_begins_at_the_mean_prior_of_eligible_pairs(eligible) -> None:
    planner = weighed("prior", eligible=eligible)
    ids = np.arange(PAIRS) if eligible is None else eligible
    mean = prior_of().of(ids).astype(np.float64).mean()
    assert planner._keep_rate == pytest.approx(mean, rel=1e-6)
    considered(planner, 1)
    assert planner._keep_rate == pytest.approx(mean, abs=0.15)


def test_ranks_share_a_pass_under_a_prior_and_merge() -> None:
    prior, states, kept = prior_of(), [], []
    for rank in range(2):
        planner = weighed("autoassist with a prior", rank=rank, world_size=2)
        batches = train(planner, 12)
        kept += [i for batch in batches for i in batch.ids.tolist()]
        states.append({"trained": 12, "planner": planner.state_dict()})
    merged = weighed("autoassist with a prior")
    merged.load_state_dict(redistribute(states, "autoassist", 0, 1)["planner"])
    more = np.concatenate([batch.ids for batch in train(merged, 60)])
    junk = prior.of(np.arange(PAIRS)) < 0.1
    assert junk.mean() > 0.3
    assert junk[kept].mean() < 0.05 and junk[more].mean() < 0.05


@pytest.mark.timeout(60)
@pytest.mark.parametrize("damage", [False, True])
def test_after_a_lost_worker_the_prior_decides_where_it_can_be_read(tmp_path, damage):
    prior = mapped(tmp_path)
    spec = dataclasses.replace(make_spec(PAIRS, strategy="prior", lag=10), prior=prior)
    exchange = ProcessExchange(spec)
    try:
        first = exchange.next_batch()
        assert exchange.failure is None
        if damage:
            (tmp_path / "prior").write_bytes(b"cut")
        exchange._worker.end()
        batches = [first]
        for _ in range(200):
            exchange.report(batches[-1].number, losses_of(batches[-1].ids))
            batches.append(exchange.next_batch())
        assert "signal 9" in exchange.failure
        late = np.concatenate([batch.ids for batch in batches[100:]])
        if damage:
            assert exchange.kept_since == "every item" and (late % 3 == 0).mean() > 0.25
        else:
            assert exchange.kept_since == "every item that its prior lets through"
            assert (late % 3 == 0).mean() < 0.05
    finally:
        exchange.close()


def test_the_worker_plans_the_same_from_a_mapped_file(tmp_path) -> None:
    spec = dataclasses.replace(make_spec(PAIRS, strategy="prior", lag=10), prior=mapped(tmp_path))
    found = []
    for kind in (Exchange, ProcessExchange):
        exchange = kind(spec)
        try:
            batches = []
            for _ in range(30):
                batches.append(exchange.next_batch())
                exchange.report(batches[-1].number, losses_of(batches[-1].ids))
        finally:
            exchange.close()
        found.append([batch.kept.tolist() for batch in batches])
    assert found[0] == found[1]
