"""Contract of `Strategy`: every strategy keeps it under every setting."""

import dataclasses
from collections import Counter

import numpy as np
import pytest

from fairseq_autoassist.config import AutoAssistConfig
from fairseq_autoassist.core.guard import CLEAN_REPORTS
from fairseq_autoassist.core.planner import Planner
from fairseq_autoassist.core.resize import redistribute
from fairseq_autoassist.core.source import NoFeatures
from fairseq_autoassist.core.strategies import (
    STRATEGIES,
    Corpus,
    Report,
    TrainingPoint,
    build_strategy,
    metric_names,
    needs_of,
)
from fairseq_autoassist.core.strategies.autoassist import PAPERS_RULE
from tests.golden.cases import PAPER
from tests.support.strategies import (
    CASES,
    PAIRS,
    UPDATES,
    WITH_PRIOR,
    RareFeatures,
    at,
    choose,
    config_of,
    corpus_of,
    items_of,
    kept,
    let_through,
    observe,
    planner_of,
    prior_of,
    spec_of,
    strategy_of,
    teach,
    train,
)

IDS = np.arange(PAIRS)
SHARES = (0.0, 0.1, 0.3, 0.6, 0.9, 1.0)
every_case = pytest.mark.parametrize("case", CASES)
# uniform keeps everything, and the prior is multiplied in by the planner
shrinking = pytest.mark.parametrize("case", [c for c in CASES if c not in ("uniform", "prior")])


def pairs_of(batches):
    return [batch.kept.tolist() for batch in batches]


def test_every_strategy_has_a_case():
    assert {settings["strategy"] for settings in CASES.values()} == set(STRATEGIES)


@every_case
def test_probabilities_and_weights_are_in_range_at_any_time(case):
    strategy = strategy_of(case)
    for point in map(at, SHARES):
        for ids in (IDS, IDS[:1], IDS[::-3]):
            probability, uniform_share, weight = choose(strategy, point, ids)
            assert probability.dtype == np.float32 and probability.shape == ids.shape
            assert (probability >= 0.0).all() and (probability <= 1.0).all()
            # the planner compares both with coins of float32
            assert uniform_share >= 0.0 and (np.float32(uniform_share) <= probability).all()
            if weight is not None:
                assert weight.dtype == np.float32 and weight.shape == ids.shape
                assert (weight > 0.0).all()
        teach(strategy, seed=int(100 * point.share), point=point)


@shrinking
def test_a_strategy_shrinks_until_it_is_stopped(case):
    strategy = strategy_of(case)
    teach(strategy, 80, point=at(0.4))
    assert kept(strategy, at(0.4)).mean() < 0.95
    strategy.stop_shrinking()
    for point in map(at, SHARES):
        choice = choose(strategy, point)
        assert (choice.probability == 1.0).all() and choice.uniform_share == 1.0
        assert choice.weight is None
        teach(strategy, 5, point=point)


@every_case
def test_the_same_reports_make_the_same_choices(case):
    first, second = (train(planner_of(case), 60) for _ in range(2))
    assert pairs_of(first) == pairs_of(second)
    assert [b.metrics for b in first] == [b.metrics for b in second]


@shrinking
def test_a_run_keeps_less_than_everything(case):
    totals = train(planner_of(case), UPDATES)[-1].totals  # the first pass may be kept whole
    assert totals.kept < 0.97 * totals.considered


@every_case
@pytest.mark.parametrize("step", [0, 7, 34, 55])
def test_a_resume_makes_the_same_batches(case, step):
    planner = planner_of(case)
    train(planner, step)
    resumed = planner_of(case)
    resumed.load_state_dict(planner.state_dict())
    after = train(planner, UPDATES - step)
    again = train(resumed, UPDATES - step)
    assert pairs_of(again) == pairs_of(after)
    assert [b.metrics for b in again] == [b.metrics for b in after]
    assert [b.keep_rate for b in again] == [b.keep_rate for b in after]


@every_case
def test_a_saved_state_is_a_copy(case):
    planner = planner_of(case)
    train(planner, 20)
    state = planner.state_dict()
    after = train(planner, 30)
    resumed = planner_of(case)
    resumed.load_state_dict(state)
    assert pairs_of(train(resumed, 30)) == pairs_of(after)


@every_case
@pytest.mark.parametrize("before, after", [(2, 3), (3, 1), (1, 2)])
def test_a_resume_on_another_world_size_is_repeatable(case, before, after):
    states = []
    for rank in range(before):
        planner = planner_of(case, rank=rank, world_size=before)
        train(planner, 30 + 3 * rank)
        states.append({"trained": 30 + 3 * rank, "planner": planner.state_dict()})
    name = CASES[case]["strategy"]
    for rank in range(after):
        merged = redistribute(states, name, rank, after)["planner"]
        planner = planner_of(case, rank=rank, world_size=after)
        planner.load_state_dict(merged)
        assert np.isfinite(list(planner.strategy.metrics(planner.point).values())).all()
        again = planner_of(case, rank=rank, world_size=after)
        again.load_state_dict(merged)
        batches = train(planner, 25)
        assert pairs_of(train(again, 25)) == pairs_of(batches)
        assert all(set(b.ids.tolist()) <= set(range(PAIRS)) for b in batches)


@every_case
def test_metrics_have_the_declared_names_and_are_finite(case):
    strategy = strategy_of(case)
    for point in map(at, SHARES):
        choose(strategy, point)
        metrics = strategy.metrics(point)
        assert set(metrics) == set(metric_names(config_of(case)))
        assert all(isinstance(value, float) for value in metrics.values()), metrics
        assert np.isfinite(list(metrics.values())).all()
        teach(strategy, 10, seed=int(100 * point.share), point=point)


@every_case
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_losses_that_are_not_finite_are_not_learned_from(case, bad):
    clean, strategy = strategy_of(case), strategy_of(case)
    point = at(0.4)
    for one in (clean, strategy):
        teach(one, 40, point=point)
    observe(strategy, IDS[:8], np.full(8, bad, np.float32), point)
    mixed = np.array([bad, 1.0, 2.0, bad], np.float32)
    observe(strategy, IDS[:4], mixed, point)
    observe(clean, IDS[1:3], mixed[1:3], point)
    assert np.isfinite(kept(strategy, point)).all()
    assert np.isfinite(list(strategy.metrics(point).values())).all()
    if not needs_of(config_of(case)).losses:
        np.testing.assert_array_equal(kept(strategy, point), kept(clean, point))
        return
    said = [message.bad for message in strategy.messages()]
    assert said == [True] and strategy.failed  # said once, and it counts as a failure
    for one in (clean, strategy):
        teach(one, CLEAN_REPORTS - 1, point=point)
    assert (kept(strategy, point) == 1.0).all()
    resumed = strategy_of(case)
    resumed.load_state_dict(strategy.state_dict())
    for one in (clean, strategy, resumed):
        teach(one, 1, seed=9, point=point)
    for one in (strategy, resumed):
        np.testing.assert_array_equal(kept(one, point), kept(clean, point))


@every_case
def test_empty_reports_change_nothing(case):
    strategy, other, point = strategy_of(case), strategy_of(case), at(0.4)
    nothing = Report(IDS[:0], np.empty(0, np.float32), np.empty(0, bool))
    strategy.observe(nothing, point)
    for one in (strategy, other):
        teach(one, 30, point=point)
    strategy.observe(nothing, point)
    np.testing.assert_array_equal(kept(strategy, point), kept(other, point))
    assert strategy.metrics(point) == other.metrics(point)


@every_case
def test_choices_depend_on_the_run_length_only_where_it_is_needed(case):
    config = config_of(case)
    needs = needs_of(config).run_length
    found = []
    for share in (0.0, 0.2, 0.4, 0.99):
        strategy = build_strategy(config, corpus_of())
        for done in (share * 0.99, share):
            point = TrainingPoint(30.0, 2.0, done)
            teach(strategy, 40, point=point)
        found.append(kept(strategy, point).tolist())
    assert any(one != found[0] for one in found) == bool(needs)
    assert not needs or needs.split()[0].startswith("--autoassist-")


@every_case
def test_features_are_read_only_where_they_are_needed(case):
    config = config_of(case)

    def run():
        choose(build_strategy(config, Corpus(items_of())), at(0.1))

    if needs_of(config).features:
        with pytest.raises(ValueError, match="needs features"):
            run()
    else:
        run()


@every_case
def test_choices_depend_on_losses_only_where_they_are_needed(case):
    told, untold = strategy_of(case), strategy_of(case)
    teach(told, 80, point=at(0.4))
    chosen = [kept(strategy, at(0.4)).tolist() for strategy in (told, untold)]
    assert needs_of(config_of(case)).losses == (chosen[0] != chosen[1])


@every_case
@pytest.mark.parametrize("snapshot, more", [(0, 0), (0, 25), (30, 20), (45, 0)])
def test_a_lost_planner_loses_no_pair(case, snapshot, more):
    planner = planner_of(case)
    before = train(planner, snapshot)
    state, passes_before = planner.state_dict(), planner.stream.passes
    kept_before = [*state["ready"], state["buckets"]["kept"]]
    delivered = train(planner, more)
    spec = dataclasses.replace(spec_of(case), abandoned=True)
    successor = Planner(spec, NoFeatures(RareFeatures().dimensions))
    successor.load_state_dict(state)
    successor.catch_up(delivered)
    for batch in delivered:
        successor.receive(batch.number, None)
    after = train(successor, 160)
    assert [b.number for b in before + delivered + after] == list(range(snapshot + more + 160))
    held = [*successor._ready, successor.buckets.take_all()]
    seen = Counter(i for part in held for i in part["id"].tolist())
    seen.update(i for batch in delivered + after for i in batch.ids.tolist())
    seen.subtract(i for part in kept_before for i in part["id"].tolist())
    # every pair considered since the state was saved is kept once, where its prior lets it through
    passes = successor.stream.passes - passes_before
    assert passes > 2
    if case in WITH_PRIOR:
        assert +seen == let_through(state["stream"]["position"], successor.stream, prior_of())
        return
    assert sum(seen.values()) == round(passes * PAIRS)
    assert np.floor(passes) - 1 <= min(seen[i] for i in range(PAIRS))
    assert max(seen.values()) <= np.ceil(passes) + 1


@every_case
def test_after_other_data_the_same_pairs_of_the_first_are_kept(case):
    """A run trains on one data-bin after another (``a:b``), and again on the first."""
    kind = STRATEGIES[CASES[case]["strategy"]]
    first, second = strategy_of(case), strategy_of(case, pairs=300)
    point = at(0.4)
    teach(first, 40, point=point)
    second.load_state_dict(kind.on_other_data(first.state_dict(), None))
    choose(second, point, np.arange(300))
    again = strategy_of(case)
    again.load_state_dict(kind.on_other_data(second.state_dict(), first.state_dict()))
    np.testing.assert_array_equal(kept(again, point), kept(first, point))


def test_the_default_is_a_band_with_a_floor_and_nothing_else_beyond_the_paper():
    config = AutoAssistConfig()
    assert config.strategy == "autoassist" and not config.competence
    assert (config.lower, config.upper, config.floor) == (0.3, 1.25, 0.3)
    assert PAPERS_RULE == PAPER
