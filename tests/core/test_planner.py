"""Planner: Algorithm 1, the order of learning, and no pair lost at any interruption."""

import dataclasses
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_autoassist.core.batching import BatchLimits
from fairseq_autoassist.core.planner import Planner
from fairseq_autoassist.core.stream import pass_coins
from tests.support.planning import MemoryFeatures, make_spec, with_pairs


def planted(pairs=500, dimensions=20):
    """Features whose first two columns tell whether a pair is hard: pair i is hard iff i is odd."""
    rng = np.random.default_rng(0)
    dense = np.zeros((pairs, dimensions), dtype=np.float32)
    dense[np.arange(pairs), 2 + rng.integers(0, dimensions - 2, pairs)] = 1.0
    dense[np.arange(pairs), np.arange(pairs) % 2] = 1.0
    return MemoryFeatures(dense)


def train(planner, batches, loss=None):
    """Plan batches and report each at once; returns them."""
    loss = loss or (lambda ids: 1.0 + ids % 2)
    out = []
    for _ in range(batches):
        batch = planner.plan()
        planner.receive(batch.number, np.asarray(loss(batch.ids), dtype=np.float32))
        out.append(batch)
    return out


def ids_of(batches):
    return [batch.ids.tolist() for batch in batches]


@settings(max_examples=25, deadline=None)
@given(
    pairs=st.integers(3, 300),
    chunk=st.integers(1, 100),
    max_tokens=st.integers(50, 500),
    stop=st.integers(0, 60),
)
def test_uniform_considers_and_keeps_every_pair_once_per_pass(pairs, chunk, max_tokens, stop):
    spec = make_spec(pairs, chunk=chunk, limits=BatchLimits(max_tokens, None, 8))
    planner = Planner(spec)
    batches = train(planner, stop)
    planner_state = planner.state_dict()
    resumed = Planner(spec)
    resumed.load_state_dict(planner_state)
    batches += train(resumed, 20)
    seen = Counter(i for ids in ids_of(batches) for i in ids)
    rest = [resumed.buckets.take_all(), *resumed._ready]
    seen.update(np.concatenate(rest)["id"].tolist())
    whole, part = resumed.stream.position
    to_come = resumed.stream.take(pairs)[0].tolist()
    assert set(seen.values()) <= {whole, whole + 1}
    assert sum(seen.values()) == whole * pairs + part
    if part:  # pairs still to come in the unfinished pass were seen once less
        assert {seen.get(i, 0) for i in to_come} == {whole}


def test_keep_frequencies_are_those_of_algorithm_1():
    pairs = 20_000
    features = planted(pairs)
    spec = make_spec(pairs, strategy="autoassist", gamma_decay=0.997, chunk=4096, guard_pairs=0)
    planner = Planner(spec, features)
    train(planner, 400)
    strategy = planner.strategy
    gamma = strategy.gamma(planner.point)
    assert 0.5 < gamma < 0.7
    ids = np.arange(pairs)
    expected = (1.0 - gamma) + gamma * strategy.assistant.predict(features, ids)
    np.testing.assert_allclose(strategy.choose(ids, planner.point).probability, expected, rtol=1e-6)
    kept = np.mean([pass_coins(1, p, pairs) < expected for p in range(60)], axis=0)
    for half in (ids % 2 == 0, ids % 2 == 1):
        # 60 passes of 10,000 pairs: a standard error below 0.001
        assert kept[half].mean() == pytest.approx(expected[half].mean(), abs=0.004)


def test_pairs_of_the_first_coin_are_a_uniform_sample():
    pairs = 20_000
    spec = make_spec(pairs, strategy="autoassist", gamma_decay=0.9995, chunk=4096, guard_pairs=0)
    planner = Planner(spec, planted(pairs))
    train(planner, 1500)
    kept = np.concatenate([batch.kept for batch in train(planner, 1500)])
    hard = kept["id"] % 2 == 1
    assert hard.mean() > 0.6  # most kept pairs are hard
    uniform = kept["uniform"]
    assert uniform.sum() > 3000
    assert hard[uniform].mean() == pytest.approx(0.5, abs=0.03)  # half of the uniform ones are


def test_the_assistant_finds_the_easy_half():
    planner = Planner(make_spec(5000, strategy="autoassist"), planted(5000))
    batches = train(planner, 800)
    late = np.concatenate(ids_of(batches[600:]))
    assert batches[0].keep_rate == 1.0
    assert batches[-1].metrics["acc"] > 0.95 and batches[-1].keep_rate < 0.65
    assert (late % 2 == 1).mean() > 0.85


def test_unpredictable_losses_give_a_message_and_no_shrinking():
    rng = np.random.default_rng(3)
    planner = Planner(make_spec(5000, strategy="autoassist"), planted(5000))
    batches = train(planner, 1500, loss=lambda ids: rng.random(len(ids)))
    said = [message.text for batch in batches for message in batch.messages]
    assert any("no better than the majority class" in line for line in said)
    totals = batches[-1].totals
    early = batches[700].totals
    assert (totals.kept - early.kept) / (totals.considered - early.considered) > 0.9


def test_batch_k_is_planned_with_exactly_the_reports_up_to_k_minus_lag():
    lag, features = 4, planted()
    spec = make_spec(strategy="autoassist", lag=lag, gamma_decay=0.5)
    loss = lambda ids: 1.0 + ids % 2  # noqa: E731
    reference = ids_of(train(Planner(spec, features), 120))

    # as late as allowed: report k - lag comes just before batch k is planned
    planner, late = Planner(spec, features), []
    for k in range(120):
        if k >= lag:
            assert not planner.can_plan
            with pytest.raises(RuntimeError, match="before its reports came"):
                planner.plan()
            planner.receive(k - lag, np.float32(loss(late[k - lag].ids)))
        late.append(planner.plan())
    assert ids_of(late) == reference

    # negative control: other reports change batches, but none planned before they come
    planner, other = Planner(spec, features), []
    for k in range(120):
        other.append(planner.plan())
        ids = other[-1].ids
        planner.receive(k, np.float32(2.0 - ids % 2 if 30 <= k < 60 else loss(ids)))
    other = ids_of(other)
    assert other[: 30 + lag] == reference[: 30 + lag]
    assert other != reference


def test_batch_k_has_learned_from_the_report_of_k_minus_lag(monkeypatch):
    lag, learned = 4, []
    planner = Planner(make_spec(strategy="autoassist", lag=lag), planted())
    monkeypatch.setattr(planner.strategy, "observe", lambda report, point: learned.append(report))
    for k in range(20):
        train(planner, 1)
        assert len(learned) == max(0, k - lag + 1)


def test_a_resume_at_any_batch_makes_the_same_batches():
    spec = make_spec(300, strategy="autoassist", gamma_decay=0.5)
    features = planted(300)
    reference = ids_of(train(Planner(spec, features), 60))
    assert len({tuple(ids) for ids in reference}) > 30  # batches differ, so a wrong order shows
    for step in range(55):
        planner = Planner(spec, features)
        train(planner, step)
        resumed = Planner(spec, features)
        resumed.load_state_dict(planner.state_dict())
        assert ids_of(train(resumed, 60 - step)) == reference[step:]


def test_a_rank_whose_strategy_keeps_nothing_trains_on():
    """By chance some of eight ranks have none of the easiest hundredth of 1,000 pairs."""
    starved = 0
    for rank in range(8):
        spec = make_spec(
            1000, rank=rank, world_size=8, strategy="competence", competence_by="length"
        )
        planner = Planner(dataclasses.replace(spec, max_update=5000))
        batches = train(planner, 20)
        said = [message for batch in batches for message in batch.messages]
        assert all("no item was kept in two passes" in item.text for item in said)
        assert len(said) <= 1 and all(len(batch.ids) for batch in batches)
        starved += len(said)
    assert 0 < starved < 8


def test_the_keep_rate_averages_over_an_eighth_of_a_pass():
    planner = Planner(make_spec(6400, strategy="random", keep=0.5, chunk=100))
    rates = [planner._keep_rate]
    while planner.stream.passes < 1.0:
        planner._consider()
        rates.append(planner._keep_rate)
    # from 1 to 0.5: after 8 chunks, an eighth of a pass, (1 - 1/8)**8 of the way is left
    assert rates[8] - 0.5 == pytest.approx(0.5 * (1 - 1 / 8) ** 8, abs=0.05)
    assert np.mean(rates[32:]) == pytest.approx(0.5, abs=0.02)


def test_not_finite_losses_are_neither_learned_nor_fatal():
    planner = Planner(make_spec(strategy="autoassist"), planted())
    train(planner, 40)
    batch = planner.plan()
    losses = np.ones(len(batch.ids), np.float32)
    losses[0], losses[1] = np.nan, np.inf
    planner.receive(batch.number, losses)
    batches = train(planner, 30)
    said = [message.text for b in batches for message in b.messages if message.bad]
    assert len([line for line in said if "2 losses of one batch" in line]) == 1
    assert np.isfinite(planner.strategy.assistant.weights).all()
    assert batches[-1].metrics["gamma"] == 0.0
    assert train(planner, 120)[-1].metrics["gamma"] > 0.0  # after 100 clean reports


@settings(max_examples=30, deadline=None)
@given(snapshot=st.integers(0, 40), more=st.integers(0, 40), chunk=st.integers(10, 90))
def test_catching_up_loses_and_doubles_nothing(snapshot, more, chunk):
    spec = make_spec(200, strategy="autoassist", chunk=chunk, gamma_decay=0.3)
    features = planted(200)
    planner = Planner(spec, features)
    before = train(planner, snapshot)
    state, passes_before = planner.state_dict(), planner.stream.passes
    held_before = sum(len(part) for part in [*state["ready"], state["buckets"]["kept"]])
    delivered = train(planner, more)
    successor = Planner(dataclasses.replace(spec, abandoned=True), features)
    successor.load_state_dict(state)
    successor.catch_up(delivered)
    for batch in delivered:
        successor.receive(batch.number, None)
    after = train(successor, 60)
    assert [b.number for b in before + delivered + after] == list(range(snapshot + more + 60))
    # from the snapshot on, every pair considered is kept: all passes after it are complete
    seen = Counter(i for ids in ids_of(after) for i in ids)
    seen.update(np.concatenate([successor.buckets.take_all(), *successor._ready])["id"].tolist())
    whole = successor.stream.position[0]
    start = delivered[-1].position[0] if delivered else state["stream"]["position"][0]
    assert min(seen[i] for i in range(200)) >= whole - start - 1
    everything = Counter(i for ids in ids_of(before + delivered) for i in ids) + seen
    assert max(everything.values()) <= whole + 1
    # all pairs considered since then were trained on or are held, exactly once
    new = sum(seen.values()) + sum(len(batch.ids) for batch in delivered) - held_before
    assert new == round((successor.stream.passes - passes_before) * 200)


def test_pairs_of_a_rare_length_do_not_wait_for_ever():
    """Three pairs of one length never fill a batch, so the end of a pass makes one of them."""
    sizes = np.full(2000, 20, np.int32)
    sizes[-3:] = 100
    spec = make_spec(2000, limits=BatchLimits(max_size=2000, multiple=8))
    planner = Planner(with_pairs(spec, sizes, sizes))
    seen = Counter()
    while planner.stream.position[0] < 4:
        seen.update(ids_of(train(planner, 1))[0])
    assert min(seen[pair] for pair in (1997, 1998, 1999)) >= 2
