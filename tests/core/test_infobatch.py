"""InfoBatch: which pairs are dropped, the weights of the rest, and an unbiased sum."""

import numpy as np
import pytest

from fairseq_autoassist.config import AutoAssistConfig
from fairseq_autoassist.core.planner import Planner
from fairseq_autoassist.core.strategies import TrainingPoint, build_strategy
from fairseq_autoassist.core.stream import pass_coins
from tests.support.planning import make_spec
from tests.support.strategies import (
    PAIRS,
    START,
    choose,
    corpus_of,
    kept,
    losses_of,
    observe,
    planner_of,
    train,
)

IDS = np.arange(PAIRS)


def infobatch(known=IDS, losses=None, **settings):
    config = AutoAssistConfig(strategy="infobatch", **settings)
    strategy = build_strategy(config, corpus_of())
    losses = losses_of(known) if losses is None else losses
    observe(strategy, known, losses)
    return strategy


@pytest.mark.parametrize("ratio", [0.0, 0.3, 0.5])
def test_below_the_mean_a_share_is_dropped_and_the_rest_weighs_more(ratio):
    strategy, losses = infobatch(infobatch_ratio=ratio), losses_of(IDS)
    probability, share, weight = choose(strategy)
    below = losses < losses.mean()
    np.testing.assert_allclose(probability, np.where(below, 1.0 - ratio, 1.0))
    np.testing.assert_allclose(weight, np.where(below, 1.0 / (1.0 - ratio), 1.0), rtol=1e-6)
    assert share == 1.0 - ratio
    metrics = strategy.metrics(START)
    assert metrics["mean_loss"] == pytest.approx(losses.mean(), abs=1e-3)
    choose(strategy, ids=IDS[:3])
    assert strategy.metrics(START)["below_mean"] == pytest.approx(below[:3].mean()) != 0.5


def test_a_pair_at_the_mean_is_kept_with_weight_1():
    probability, _, weight = choose(infobatch(losses=np.full(PAIRS, 2.0, np.float32)))
    assert (probability == 1.0).all() and (weight == 1.0).all()


def test_the_expected_weighted_sum_is_the_plain_sum():
    strategy, values = infobatch(infobatch_ratio=0.6), np.random.default_rng(0).gamma(2.0, size=400)
    probability, _, weight = choose(strategy)
    sums = []
    for seed in range(4000):
        keep = pass_coins(seed, 0, PAIRS) < probability
        sums.append((weight[keep] * values[keep]).sum())
    error = np.std(sums) / np.sqrt(len(sums))
    assert error < 0.002 * values.sum()  # small enough to show a wrong weight
    assert abs(np.mean(sums) - values.sum()) < 5 * error


def test_the_mean_is_fixed_during_a_pass():
    strategy = infobatch()
    before = kept(strategy, TrainingPoint(9.0, 1.0, 0.1), IDS[200:])
    # these losses of the same pass are far below the mean and would lower it
    late = TrainingPoint(12.0, 1.9, 0.1)
    observe(strategy, IDS[:200], losses_of(IDS[:200]) / 9, late)
    saved = strategy.state_dict()
    resumed = infobatch()
    resumed.load_state_dict(saved)
    for one in (strategy, resumed):
        assert one.metrics(late)["mean_loss"] == pytest.approx(losses_of(IDS).mean(), abs=1e-3)
        np.testing.assert_array_equal(kept(one, late, IDS[200:]), before)
    following = kept(strategy, TrainingPoint(13.0, 2.0, 0.1), IDS[200:])
    assert (following == 1.0).sum() > (before == 1.0).sum()


def test_merged_ranks_in_different_passes_have_the_mean_of_the_earlier_pass():
    ranks = [infobatch(losses=losses_of(IDS) * factor) for factor in (1.0, 2.0, 3.0)]
    for rank, passes in zip(ranks, (2.0, 1.9, 1.8)):
        choose(rank, TrainingPoint(9.0, passes, 0.1))
    merged = infobatch()
    merged.load_state_dict(type(merged).merge([rank.state_dict() for rank in ranks]))
    # the ranks share the rest of the earlier pass
    choose(merged, TrainingPoint(9.0, 1.85, 0.1))
    mean = losses_of(IDS).mean()
    assert merged.mean == pytest.approx(2.5 * mean, rel=1e-3)
    choose(merged, TrainingPoint(10.0, 2.0, 0.1))  # the next pass begins
    assert merged.mean == merged.memory.mean != pytest.approx(2.5 * mean, rel=1e-3)


def test_pairs_that_were_not_seen_yet_are_kept():
    strategy = infobatch(known=IDS[:100])
    probability = kept(strategy)
    assert (probability[100:] == 1.0).all() and (probability[:100] == 0.5).any()
    fresh = build_strategy(AutoAssistConfig(strategy="infobatch"), corpus_of())
    assert (kept(fresh) == 1.0).all() and choose(fresh).weight is None


@pytest.mark.parametrize("anneal, ends", [(0.125, True), (0.0, False), (1.0, True)])
def test_everything_is_kept_at_the_end(anneal, ends):
    strategy = infobatch(infobatch_anneal=anneal)
    for share in (0.0, 0.5, 0.874):
        assert (kept(strategy, TrainingPoint(1.0, 1.0, share)) < 1.0).any() == (anneal < 1.0)
    for share in (0.875, 0.95, 1.0):
        choice = choose(strategy, TrainingPoint(1.0, 1.0, share))
        assert (choice.probability == 1.0).all() == ends
        assert (choice.weight is None) == ends


def test_in_a_run_the_weights_travel_with_their_pairs():
    planner = planner_of("infobatch")  # of 80 updates
    batches = train(planner, 130)
    pruned = np.concatenate([batch.kept for batch in batches[40:60]])
    assert set(pruned["weight"].tolist()) == {1.0, 2.0}
    assert not pruned["uniform"].all()
    # even pairs are easy, by their losses in the pass before
    assert (pruned["id"][pruned["weight"] == 2.0] % 2 == 0).mean() > 0.95
    # from update 70 on nothing is dropped (buckets hold what was kept before)
    totals = [batch.totals for batch in (batches[70], batches[129])]
    considered = totals[1].considered - totals[0].considered
    assert totals[1].kept - totals[0].kept == considered > 0


def test_the_papers_ratio_saves_about_a_quarter():
    planner = Planner(make_spec(4000, strategy="infobatch", infobatch_anneal=0.0))
    batches = train(planner, 1200)
    first, last = (batches[i].totals for i in (500, 1199))
    share = (last.kept - first.kept) / (last.considered - first.considered)
    assert share == pytest.approx(0.75, abs=0.03)  # half of the pairs are below the mean
