"""Resume on another world size: every pair once per pass, at any interruption."""

import dataclasses
from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fairseq_autoassist.core.batching import BatchLimits
from fairseq_autoassist.core.lineage import last_begun, over_other_ranks, under_other_limits
from fairseq_autoassist.core.planner import Planner
from fairseq_autoassist.core.resize import redistribute
from fairseq_autoassist.core.strategies import strategy_class
from fairseq_autoassist.core.stream import Stream
from fairseq_autoassist.core.wholepass import stream_of
from fairseq_autoassist.core.worker.client import Exchange
from tests.core.test_planner import planted, train
from tests.support.planning import make_spec
from tests.support.strategies import START, observe, strategy_of, teach

WORLDS = st.lists(st.integers(1, 5), min_size=2, max_size=5)


def consume(streams, steps, seen):
    """Take so many chunks on each rank, and one more on odd ranks; add their ids to ``seen``."""
    for rank, stream in enumerate(streams):
        for _ in range(steps + rank % 2):
            ids, coins = stream.take(7)
            assert len(ids) == len(coins) > 0
            # the pass of these ids; the position may be in the next pass already
            position = stream.position
            number = position[0] if position[1] else stream._cached_pass
            seen.setdefault(number, []).extend(ids.tolist())


@settings(max_examples=80, deadline=None)
@given(WORLDS, st.lists(st.integers(0, 12), min_size=5, max_size=5), st.integers(5, 90))
def test_every_pair_once_per_pass_over_any_sequence_of_ranks(worlds, steps, pairs):
    seen = {}
    streams = [Stream(pairs, 3, rank=r, world_size=worlds[0]) for r in range(worlds[0])]
    consume(streams, steps[0], seen)
    for world_size, count in zip(worlds[1:], steps[1:]):
        states = [stream.state_dict() for stream in streams]
        streams = [Stream(pairs, 3, rank=r, world_size=world_size) for r in range(world_size)]
        for rank, stream in enumerate(streams):
            stream.load_state_dict(over_other_ranks(states, rank, world_size))
        consume(streams, count, seen)
    last = max(stream.position[0] for stream in streams) + 1
    for stream in streams:  # finish every pass that was begun
        while stream.position[0] < last:
            stream._prepare()
            number = stream._cached_pass
            if number >= last:
                break
            seen.setdefault(number, []).extend(stream.take(1000)[0].tolist())
    for number in range(last):
        assert sorted(seen[number]) == list(range(pairs)), f"pass {number}"


@settings(max_examples=25, deadline=None)
@given(worlds=WORLDS, steps=st.lists(st.integers(0, 25), min_size=5, max_size=5))
# one rank far ahead of the others; then world size 1, which begins where the last one was
@example(worlds=[1, 2, 1, 4, 1], steps=[0, 5, 0, 2, 0])
def test_no_kept_pair_is_lost_or_doubled(worlds, steps):
    pairs, trained = 150, Counter()
    states = None
    for world_size, count in zip(worlds, steps):
        specs = [make_spec(pairs, rank=r, world_size=world_size, lag=9) for r in range(world_size)]
        if states is not None:
            states = [redistribute(states, "uniform", r, world_size) for r in range(world_size)]
        exchanges = [
            Exchange(spec, None if states is None else states[r]) for r, spec in enumerate(specs)
        ]
        for exchange in exchanges:
            for _ in range(count):
                batch = exchange.next_batch()
                trained.update(batch.ids.tolist())
                exchange.report(batch.number, None)
        states = [exchange.state_dict() for exchange in exchanges]
    considered = sum(state["planner"]["totals"][0] for state in states)
    held = Counter()
    for state in states:
        planner = state["planner"]
        held.update(planner["buckets"]["kept"]["id"].tolist())
        waiting = [b["kept"] for b in planner["in_flight"] if b["number"] >= state["trained"]]
        held.update(i for part in [*planner["ready"], *waiting] for i in part["id"].tolist())
    # every pair considered was kept (uniform): it is trained on or held, once each time
    assert sum((trained + held).values()) == considered
    # passes that any rank began, now or before a resize; a resize begins at the earliest of them
    streams = [state["planner"]["stream"] for state in states]
    positions = [stream["position"] for stream in streams]
    positions += [at for stream in streams for _, each in stream["lineage"] for at in each]
    passes = max(number for number, _ in positions)
    assert max((trained + held).values(), default=0) <= passes + 1


def trained_on(exchange, count):
    """Train on so many batches; gives the number of items in them, and the last one."""
    items = 0
    for _ in range(count):
        batch = exchange.next_batch()
        items += len(batch.ids)
        exchange.report(batch.number, None)
    return items, batch


@pytest.mark.parametrize("strategy", ["uniform", "random"])
def test_counts_go_on_over_another_number_of_ranks(strategy):
    """Batches planned ahead are planned again, so they count once. Passes go on where they were."""
    pairs, lag = 2000, 32
    before = [
        Exchange(make_spec(pairs, lag=lag, strategy=strategy, rank=rank, world_size=2))
        for rank in range(2)
    ]
    items = sum(trained_on(exchange, 20)[0] for exchange in before)
    states = [exchange.state_dict() for exchange in before]
    considered = sum(state["planner"]["totals"][0] for state in states)
    assert pairs / 4 < considered  # negative control: passes that begin again are far less
    state = redistribute(states, strategy, 0, 1)
    after = Exchange(make_spec(pairs, lag=lag, strategy=strategy), state)
    more, batch = trained_on(after, 1)
    assert batch.totals.batches == 41 and batch.totals.batched == items + more
    done = batch.totals.batched if strategy == "uniform" else considered
    assert batch.passes == pytest.approx(done / pairs)


def rest_of_passes(streams, last):
    """Ids of each pass up to ``last`` that the streams still have to give, by rank."""
    seen = {}
    for rank, stream in enumerate(streams):
        while stream.position[0] <= last:
            number = stream.position[0]
            ids = seen.setdefault(number, {}).setdefault(rank, [])
            ids.extend(stream.take(50)[0].tolist())
    return seen


def dealt(limits, states=None, world_size=2):
    """Streams of whole passes, dealt out in batches under limits."""
    spec = make_spec(400, limits=limits, world_size=world_size)
    streams = [stream_of(dataclasses.replace(spec, rank=r)) for r in range(world_size)]
    for stream, state in zip(streams, states or []):
        stream.load_state_dict(state)
    return streams


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_that_are_passes_apart_deal_out_each_pass_under_the_same_limits(world_size):
    streams = dealt(BatchLimits(400, None, 8))
    begun = {0: streams[0].take(90)[0].tolist()}
    for number, count in ((0, 400), (1, 400), (2, 70)):
        begun.setdefault(number, []).extend(streams[1].take(count)[0].tolist())
    states = [stream.state_dict() for stream in streams]
    last = max(map(last_begun, states))
    assert last == 2
    states = [under_other_limits(state, last) for state in states]
    if world_size == 3:
        states = [over_other_ranks(states, rank, 3) for rank in range(3)]
    smaller = BatchLimits(100, None, 8)
    states = [stream.state_dict() for stream in dealt(smaller, states, world_size)]
    states = [under_other_limits(state, max(map(last_begun, states))) for state in states]
    smallest = BatchLimits(60, None, 1)  # a second change in the same pass
    found = rest_of_passes(dealt(smallest, states, world_size), 4)
    for number in range(5):
        ids = [*begun.get(number, []), *(i for part in found[number].values() for i in part)]
        assert sorted(ids) == list(range(400)), f"pass {number}"
    fresh = dealt(smallest, world_size=world_size)
    for stream in fresh:
        stream.seek((3, 0))
    assert rest_of_passes(fresh, 4) == {number: found[number] for number in (3, 4)}


def test_limits_that_change_before_a_stream_went_on_change_no_pass_that_was_begun():
    """A data-bin may not be trained on between two changes."""
    (stream,) = dealt(BatchLimits(400, None, 8), world_size=1)
    stream.take(90)
    once = under_other_limits(stream.state_dict(), 0)
    assert under_other_limits(once, 0) == once


def test_a_state_from_before_limits_of_passes_were_noted_resumes():
    (stream,) = dealt(BatchLimits(400, None, 8), world_size=1)
    stream.take(90)
    state = stream.state_dict()
    assert state.pop("dealt earlier") == []
    (resumed,) = dealt(BatchLimits(400, None, 8), [state], world_size=1)
    assert rest_of_passes([resumed], 2) == rest_of_passes([stream], 2)


def test_merging_takes_the_mean_of_assistants():
    planners = []
    for rank in range(2):
        spec = make_spec(strategy="autoassist", rank=rank, world_size=2, gamma_decay=0.9)
        planners.append(Planner(spec, planted()))
        train(planners[-1], 40 + 20 * rank)
    states = [planner.strategy.state_dict() for planner in planners]
    merged = strategy_class("autoassist").merge(states)
    weights = [planner.strategy.assistant.weights for planner in planners]
    np.testing.assert_allclose(merged["assistant"]["direction"], np.mean(weights, axis=0), 1e-6)
    assert not np.array_equal(*weights)  # negative control
    assert merged["threshold"] == np.mean([s["threshold"] for s in states])
    target = Planner(make_spec(strategy="autoassist"), planted())
    target.strategy.load_state_dict(merged)
    expected = np.mean([planner.strategy.gamma(START) for planner in planners])
    np.testing.assert_allclose(target.strategy.gamma(START), expected)
    exchanges = [{"trained": 9, "planner": planner.state_dict()} for planner in planners]
    rates = [planner.state_dict()["keep_rate"] for planner in planners]
    found = redistribute(exchanges, "autoassist", 0, 1)["planner"]["keep_rate"]
    assert found == pytest.approx(np.mean(rates)) and rates[0] != rates[1]


def test_merged_ranks_do_not_shrink_if_one_had_losses_that_were_not_finite():
    ranks = [strategy_of("autoassist") for _ in range(2)]
    for strategy in ranks:
        teach(strategy, 10)
    observe(ranks[1], np.arange(4), np.full(4, np.nan, np.float32))
    states = [strategy.state_dict() for strategy in ranks]
    for saved, allowed in ((states, False), (states[:1], True)):
        merged = strategy_of("autoassist")
        merged.load_state_dict(strategy_class("autoassist").merge(saved))
        assert merged.guard.allows == allowed


def test_passes_finished_on_other_world_sizes_are_forgotten():
    streams = [Stream(60, 3)]
    for world_size in (2, 3, 2, 1):
        done = min(stream.position[0] for stream in streams) + 2
        for stream in streams:
            while stream.position[0] < done:
                stream.take(7)
        states = [stream.state_dict() for stream in streams]
        streams = [Stream(60, 3, rank=r, world_size=world_size) for r in range(world_size)]
        for rank, stream in enumerate(streams):
            stream.load_state_dict(over_other_ranks(states, rank, world_size))
            assert len(stream.state_dict()["lineage"]) == 1
