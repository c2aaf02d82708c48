"""Whole passes: batches of fairseq's sizes, for a strategy that keeps every pair."""

import dataclasses
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from fairseq.data import data_utils
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_autoassist.core import wholepass
from fairseq_autoassist.core.batching import BatchLimits
from fairseq_autoassist.core.cutting import by_length
from fairseq_autoassist.core.planner import Planner
from fairseq_autoassist.core.prior import Prior
from fairseq_autoassist.core.resize import last_pass_begun, rebatched
from fairseq_autoassist.core.wholepass import WholePass, plans_whole_passes
from fairseq_autoassist.core.worker.client import Exchange
from tests.support.planning import batch_limits, make_sizes, make_spec, tokens_of, with_pairs

LIMITS = batch_limits(2000)


def fairseqs_sizes(spec):
    """Sizes of the batches of an epoch of fairseq, by ascending length."""
    tokens = tokens_of(spec)
    order = by_length(spec.items.lengths, len(tokens))
    words = dataclasses.astuple(spec.limits)
    batches = data_utils.batch_by_size(order, tokens.__getitem__, tokens[order], *words)
    return [len(batch) for batch in batches]


def ranks_of(spec, world_size):
    return [
        Planner(dataclasses.replace(spec, rank=rank, world_size=world_size))
        for rank in range(world_size)
    ]


def plan(planner):
    batch = planner.plan()
    planner.receive(batch.number, None)
    return batch


def one_pass(planner):
    """Batches of the pass that begins now, up to its end."""
    batches = [plan(planner)]
    while planner._ready:
        batches.append(plan(planner))
    return batches


def ids_of(batches):
    return [batch.ids.tolist() for batch in batches]


def count(*parts):
    return Counter(i for batches in parts for batch in batches for i in batch.ids.tolist())


@pytest.mark.parametrize("pairs", [200, 1000, 5000])
@pytest.mark.parametrize("limits", [BatchLimits(1000), BatchLimits(200), BatchLimits(None, 16)])
def test_batches_have_the_sizes_of_fairseqs(pairs, limits):
    spec = make_spec(pairs, limits=limits)
    planner = Planner(spec)
    for _ in range(2):
        sizes = [len(batch.ids) for batch in one_pass(planner)]
        assert sorted(sizes) == sorted(fairseqs_sizes(spec)) and sum(sizes) == pairs


@settings(max_examples=60, deadline=None)
@given(LIMITS, st.integers(8, 400), st.sampled_from([1, 2, 3, 8]), st.integers(0, 10**6))
def test_every_pair_is_in_one_batch_of_a_pass_and_limits_hold(limits, pairs, world_size, seed):
    source, target = make_sizes(pairs, seed)
    spec = with_pairs(make_spec(pairs, seed=seed, limits=limits), source, target)
    tokens, stock = tokens_of(spec), len(fairseqs_sizes(spec))
    planners = ranks_of(spec, world_size)
    for _ in range(3):
        parts = [one_pass(planner) for planner in planners]
        assert count(*parts) == Counter(range(pairs))
        for batch in (batch for part in parts for batch in part):
            size = len(batch.ids)
            assert limits.max_size is None or size * tokens[batch.ids].max() <= limits.max_size
            assert limits.max_items is None or size <= limits.max_items
            few = stock < 100 * world_size
            assert few or size % limits.multiple == 0 or size < limits.multiple
        lengths = {len(part) for part in parts}
        if limits.max_items != 1:  # a batch of one cannot be cut in two to even the counts
            assert len(lengths) == 1
        assert -(-stock // world_size) <= max(lengths) <= max(1, -(-(stock + 1) // world_size))


@pytest.mark.parametrize("limits", [BatchLimits(1000, None, 8), BatchLimits(None, 20, 8)])
def test_pairs_that_fairseq_leaves_out_change_few_batches(limits):
    for pairs in (997, 1003):
        spec = make_spec(pairs, limits=limits)
        batches = one_pass(Planner(spec))
        stock = fairseqs_sizes(spec)
        assert len(batches) == len(stock) < 100 and sum(stock) < pairs
        changed = Counter(len(batch.ids) for batch in batches) - Counter(stock)
        assert sum(changed.values()) <= 8  # the other batches have fairseq's sizes


@pytest.mark.parametrize("world_size", [1, 2])
def test_a_resume_at_any_batch_makes_the_same_batches(world_size):
    spec = make_spec(300, rank=world_size - 1, world_size=world_size)
    exchange, states, batches = Exchange(spec), [], []
    for number in range(60):
        states.append(exchange.state_dict())
        batches.append(exchange.next_batch())
        exchange.report(number, None)
    assert batches[-1].position[0] > 1
    for at, state in enumerate(states):
        resumed, again = Exchange(spec, state), []
        for number in range(at, 60):
            again.append(resumed.next_batch())
            resumed.report(number, None)
        assert ids_of(again) == ids_of(batches[at:])
        assert [b.passes for b in again] == [b.passes for b in batches[at:]]


def test_each_pass_seed_and_repeat_has_batches_and_an_order_of_its_own():
    spec = make_spec(5000)  # enough pairs for several batches of one length
    planner = Planner(spec)
    runs = [ids_of(one_pass(planner)) for _ in range(2)]
    for other in ({"seed": 2}, {"repeat": 1}):
        runs.append(ids_of(one_pass(Planner(dataclasses.replace(spec, **other)))))
    assert len({tuple(map(tuple, run)) for run in runs}) == 4
    assert len({tuple(map(len, run)) for run in runs}) == 4  # the order of short and long
    sets = [{frozenset(batch) for batch in run} for run in runs]
    assert all(len(sets[0] & other) < len(sets[0]) / 4 for other in sets[1:])
    assert ids_of(one_pass(Planner(spec))) == runs[0]


def test_passes_count_the_pairs_in_batches_not_those_considered():
    batches = one_pass(Planner(make_spec(500)))
    passes = [batch.passes for batch in batches]
    assert passes == sorted(passes) and passes[-1] == 1.0
    assert passes[0] == len(batches[0].ids) / 500


def test_a_run_that_began_in_buckets_resumes_with_every_pair_once_per_pass(monkeypatch):
    """Buckets are saved within a pass, and whole passes are planned from their state."""
    spec, begun = make_spec(500), []
    with monkeypatch.context() as patch:
        patch.setattr(wholepass, "MOST_ITEMS", 0)
        for planner in ranks_of(spec, 2):
            before = [plan(planner) for _ in range(45)]
            state = planner.state_dict()
            assert not isinstance(planner.buckets, WholePass) and len(state["buckets"]["kept"])
            begun.append((before, state))
    after, planners = [], ranks_of(spec, 2)
    for planner, (_, state) in zip(planners, begun):
        assert isinstance(planner.buckets, WholePass)
        planner.load_state_dict(state)
        after.append([])
        while planner.stream.position[0] < 5 or planner._ready:
            after[-1].append(plan(planner))
    assert all(planner.stream.position == (5, 0) for planner in planners)
    every = count(*after, *(before for before, _ in begun))
    assert every == Counter(dict.fromkeys(range(500), 5))


@pytest.mark.parametrize("keep", [1.0, 0.7])
def test_a_run_of_whole_passes_resumes_in_buckets_with_no_pair_lost_or_repeated(keep):
    whole, later = (make_spec(500, strategy="random", keep=share) for share in (1.0, keep))
    if keep == 1.0:  # which wait in buckets
        later = dataclasses.replace(later, full_batches=True)
    before, after = [], []
    for old, new in zip(ranks_of(whole, 2), ranks_of(later, 2)):
        assert isinstance(old.buckets, WholePass) and not isinstance(new.buckets, WholePass)
        before += [plan(old) for _ in range(10)]
        old._consider()  # the next pass is considered in part
        state = old.state_dict()
        assert len(state["buckets"]["kept"]) and state["ready"]
        new.load_state_dict(state)
        while new.stream.position[0] < 5 or new._ready:
            after.append(plan(new))
        after.append(SimpleNamespace(ids=new.buckets.take_all()["id"]))
    every = count(before, after)
    if keep == 1.0:
        assert every == Counter(dict.fromkeys(range(500), 5))
    else:  # the first pass was whole
        assert set(every.values()) <= {1, 2, 3, 4, 5} and len(every) == 500


@pytest.mark.parametrize("world_size", [1, 2])
@pytest.mark.parametrize("max_tokens", [150, 400])
def test_other_limits_lose_no_pair(world_size, max_tokens):
    spec = make_spec(500, world_size=world_size)
    other = dataclasses.replace(spec, limits=BatchLimits(max_tokens, None, 8))
    tokens = tokens_of(spec)
    trained, states = [], []
    for rank in range(world_size):
        exchange = Exchange(dataclasses.replace(spec, rank=rank))
        trained.append([])
        for number in range(25):
            trained[rank].append(exchange.next_batch())
            exchange.report(number, None)
        states.append(exchange.state_dict())
    for rank, state in enumerate(states):
        state = rebatched(state, 1.0, last_pass_begun(states))
        planner = Exchange(dataclasses.replace(other, rank=rank), state)._planner
        while planner.stream.position[0] < 4 or planner._ready:
            batch = plan(planner)
            trained[rank].append(batch)
            assert len(batch.ids) * tokens[batch.ids].max() <= max_tokens
    assert count(*trained) == Counter(dict.fromkeys(range(500), 4))


@pytest.mark.parametrize("world_size", [1, 2])
def test_passes_after_a_change_of_limits_have_the_batches_of_a_fresh_run(world_size):
    """Plan batches of 4,000 tokens at most, then of 1,000: every rank has as many of these."""
    spec = make_spec(10_000, limits=BatchLimits(4000, None, 8), world_size=world_size)
    other = dataclasses.replace(spec, limits=BatchLimits(1000, None, 8))
    states = []
    for planner in ranks_of(spec, world_size):
        for _ in range(3):
            plan(planner)
        states.append({"trained": 3, "planner": planner.state_dict()})
    last_pass = last_pass_begun(states)
    assert last_pass == 0
    parts = [[], []]
    for planner, fresh, state in zip(
        ranks_of(other, world_size), ranks_of(other, world_size), states
    ):
        planner.load_state_dict(rebatched(state, 4.0, last_pass)["planner"])
        one_pass(planner)  # the rest of the first pass
        fresh.stream.seek((1, 0))
        for number in range(2):
            again = one_pass(planner)
            assert ids_of(again) == ids_of(one_pass(fresh))
            parts[number].append(len(again))
    assert all(len(set(lengths)) == 1 for lengths in parts)


def test_whole_passes_are_planned_where_every_pair_of_a_small_corpus_is_kept(monkeypatch):
    prior = Prior(np.full(500, 0.5, dtype=np.float32), 0.1)
    uniform, random = make_spec(500), make_spec(500, strategy="random", keep=1.0)
    assert all(map(plans_whole_passes, (uniform, random)))
    assert plans_whole_passes(dataclasses.replace(uniform, prior=prior))  # uniform ignores a prior
    assert not plans_whole_passes(make_spec(500, strategy="random", keep=0.9))
    assert not plans_whole_passes(make_spec(500, strategy="infobatch"))
    monkeypatch.setattr(wholepass, "MOST_ITEMS", 400)
    assert not plans_whole_passes(uniform)
    assert plans_whole_passes(with_pairs(uniform, eligible=np.arange(400)))


def test_no_pair_stays_behind_however_often_it_is_planned_again():
    """Planning is two passes ahead, so pairs of several passes wait together."""
    spec, state, trained = make_spec(400, lag=150), None, []
    for _ in range(10):
        exchange = Exchange(spec, state)
        for _ in range(20):
            batch = exchange.next_batch()
            exchange.report(batch.number, None)
            trained.append(batch)
        for _ in range(140):  # what the loader takes ahead
            exchange.next_batch()
        state = exchange.state_dict()
        state = rebatched(state, 1.0, last_pass_begun([state]))
    times = count(trained)
    assert len(trained) > 3 * spec.batches_per_pass
    assert len(times) == 400 and max(times.values()) - min(times.values()) <= 2
