"""What AutoAssist can do beyond the paper, option by option."""

import dataclasses

import numpy as np
import pytest

from fairseq_autoassist.config import PAPERS_RULE, AutoAssistConfig
from fairseq_autoassist.core.planner import Planner
from fairseq_autoassist.core.sampler import pass_coins
from fairseq_autoassist.core.strategies import Moment, build_strategy
from fairseq_autoassist.core.utility import Band, band_at, labels
from fairseq_autoassist.errors import ConfigError
from tests.support.planning import make_spec
from tests.support.strategies import PAIRS, RareFeatures, at, corpus_of, losses_of, teach, train

IDS = np.arange(PAIRS)
FAST = {"gamma_decay": 0.5, "guard_pairs": 0}
PAPER = {**FAST, **PAPERS_RULE}


def taught(reports=80, losses=losses_of, share=0.5, rule=PAPER, **settings):
    config = AutoAssistConfig(**{**rule, **settings})
    strategy = build_strategy(config, corpus_of())
    at(strategy, share)
    teach(strategy, reports, losses=losses)
    return strategy


# -- floor, warm-up, annealing --------------------------------------------------------------------


def test_the_floor_lifts_low_probabilities_only():
    plain, floored = taught(), taught(floor=0.5)
    assert plain.keep_probability(IDS).min() < 0.3
    expected = np.maximum(plain.keep_probability(IDS), 0.5)
    np.testing.assert_allclose(floored.keep_probability(IDS), expected, rtol=1e-6)
    assert plain.uniform_share == 1.0 - plain.gamma < 0.3
    assert floored.uniform_share == 0.5


def test_a_floor_below_the_first_coin_changes_nothing():
    capped, floored = taught(gamma_max=0.6), taught(gamma_max=0.6, floor=0.3)
    np.testing.assert_array_equal(capped.keep_probability(IDS), floored.keep_probability(IDS))
    assert floored.uniform_share == pytest.approx(0.4)


def test_a_run_keeps_at_least_the_floor_of_the_easy_pairs():
    settings = {"strategy": "autoassist", "floor": 0.5, "gamma_decay": 0.9, "guard_pairs": 0}
    planner = Planner(make_spec(5000, **settings), RareFeatures(5000))
    train(planner, 800)
    coins = np.stack([pass_coins(1, p, 5000) for p in range(50)])
    kept = coins < planner.strategy.keep_probability(np.arange(5000))
    easy, hard = kept[:, ::2].mean(), kept[:, 1::2].mean()
    # 125,000 coins each: a standard error of 0.0014
    assert easy == pytest.approx(0.5, abs=0.01) and hard > 0.8


@pytest.mark.parametrize("update_freq", [1, 2])
def test_nothing_is_dropped_in_the_first_updates(update_freq):
    spec = make_spec(5000, strategy="autoassist", warmup_updates=100, **FAST)
    spec = dataclasses.replace(spec, update_freq=update_freq)
    batches = train(Planner(spec, RareFeatures(5000)), 100 * update_freq + 400)
    gammas = [batch.metrics["gamma"] for batch in batches]
    assert not any(gammas[: 100 * update_freq]) and all(gammas[100 * update_freq :])
    first = next(i for i, b in enumerate(batches) if b.totals.kept < b.totals.considered)
    # decisions are made for a chunk of pairs at a time, when the buckets run dry
    assert 100 * update_freq <= first <= 100 * update_freq + 60
    assert batches[first - 1].metrics["acc"] > 0.8  # it has learned meanwhile


@pytest.mark.parametrize(
    "end, update_freq",
    [({"max_update": 400}, 1), ({"max_update": 400}, 2), ({"max_passes": 1.5}, 1)],
)
def test_nothing_is_dropped_in_the_last_share_of_the_run(end, update_freq):
    spec = make_spec(5000, strategy="autoassist", anneal=0.25, **FAST)
    spec = dataclasses.replace(spec, update_freq=update_freq, **end)
    planner = Planner(spec, RareFeatures(5000))
    batches, shares = [], []
    for number in range(500 * update_freq):
        by_passes = planner.stream.passes / 1.5  # as it is when the batch is decided on
        batches += train(planner, 1)
        shares.append(number / update_freq / 400 if "max_update" in end else by_passes)
    middle = [b.metrics["gamma"] for b, share in zip(batches, shares) if 0.2 < share < 0.7]
    late = [b for b, share in zip(batches, shares) if share >= 0.75]
    assert len(middle) > 20 and all(middle) and len(late) > 20
    assert not any(b.metrics["gamma"] for b in late)
    kept = [late[-1].totals.kept - late[0].totals.kept]
    kept.append(late[-1].totals.considered - late[0].totals.considered)
    assert kept[0] == kept[1] > 0


# -- weights 1 / P(keep) --------------------------------------------------------------------------


def sums_over_coins(strategy, values, seeds=4000):
    """Weighted sums over what is kept, their weights' means, and the sums' standard error."""
    probability = strategy.keep_probability(IDS)
    sums, means = [], []
    for seed in range(seeds):
        keep = pass_coins(seed, 0, PAIRS) < probability
        weight = strategy.loss_weight(IDS[keep], probability[keep])
        sums.append((weight * values[keep]).sum())
        means.append(weight.mean())
    return np.mean(sums), np.mean(means), np.std(sums) / np.sqrt(seeds), probability


@pytest.mark.parametrize("extra", [{}, {"floor": 0.25}])
def test_weights_make_the_expected_sum_that_of_all_pairs(extra):
    strategy = taught(weights="inverse", weight_clip=1000.0, **extra)
    values = np.random.default_rng(0).gamma(2.0, size=PAIRS)
    total, mean, error, probability = sums_over_coins(strategy, values)
    assert probability.min() < 0.3
    # times the share kept: it takes that many more pairs to make a batch
    expected = values.sum() * probability.mean()
    assert error < 0.01 * expected and abs(total - expected) < 5 * error
    assert mean == pytest.approx(1.0, abs=0.02)
    plain = np.sum(values * probability)  # negative control: what it would be without weights
    assert abs(plain - expected) > 5 * error


def test_clipped_weights_fall_short_by_what_was_clipped():
    strategy = taught(weights="inverse", weight_clip=2.0)
    values = np.random.default_rng(0).gamma(2.0, size=PAIRS)
    total, _, error, probability = sums_over_coins(strategy, values)
    clipped = np.minimum(1.0, 2.0 * probability)
    expected = (values * clipped).sum() * probability.mean()
    assert abs(total - expected) < 5 * error < values.sum() * probability.mean() - expected
    weight = strategy.loss_weight(IDS, probability)
    assert weight.max() == pytest.approx(2.0 * probability.mean())


def test_the_effective_share_is_kishs():
    strategy = taught(weights="inverse", weight_clip=1000.0)
    assert strategy.metrics()["ess"] == 1.0  # before anything was weighted
    probability = strategy.keep_probability(IDS)
    strategy.loss_weight(IDS, probability)
    w = 1.0 / probability.astype(np.float64)
    assert strategy.metrics()["ess"] == pytest.approx(w.sum() ** 2 / len(w) / (w**2).sum())
    assert strategy.metrics()["ess"] < 0.8
    strategy.loss_weight(IDS[:1], probability[:1])
    assert strategy.metrics()["ess"] == pytest.approx(1.0)  # one pair is as good as itself
    strategy.stop_shrinking()
    assert strategy.loss_weight(IDS, strategy.keep_probability(IDS)) is None


def test_without_the_option_and_without_shrinking_nothing_is_weighted():
    for strategy in (taught(), taught(weights="inverse", share=1.0, anneal=0.1)):
        assert strategy.loss_weight(IDS, strategy.keep_probability(IDS)) is None


# -- extra features -------------------------------------------------------------------------------


def long_is_hard(ids):
    """Losses that TF-IDF features cannot explain."""
    return (1.0 + 2.0 * (corpus_of().target_sizes[ids] > 20)).astype(np.float32)


@pytest.mark.parametrize("kinds, finds", [("", False), ("ratio", False), ("lengths", True)])
def test_lengths_tell_what_tf_idf_does_not(kinds, finds):
    strategy = taught(400, losses=long_is_hard, extra_features=kinds, gamma_decay=0.95)
    assert (strategy.metrics()["acc"] > 0.85) == finds


def test_the_last_loss_tells_what_tf_idf_does_not():
    ours = np.random.default_rng(5).permutation(PAIRS)

    def losses(ids):
        return (1.0 + 2.0 * (ours[ids] % 2)).astype(np.float32)

    plain, remembers = (
        taught(400, losses=losses, extra_features=kinds, gamma_decay=0.95) for kinds in ("", "loss")
    )
    assert plain.metrics()["acc"] < 0.8 < 0.95 < remembers.metrics()["acc"]
    hard = remembers.keep_probability(IDS)[losses(IDS) > 2.0]
    assert hard.mean() > 0.9


# -- upper guard and band -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "share, moving, end, expected",
    [
        (0.0, 0.0, Band(), (1.0, np.inf)),  # the paper
        (0.7, 0.0, Band(), (1.0, np.inf)),
        (0.7, 0.0, Band(0.8, 3.0), (0.8, 3.0)),
        (0.0, 0.5, Band(), (0.0, 1.0)),
        (0.25, 0.5, Band(), (0.5, 1.5)),
        (0.25, 0.5, Band(0.8), (0.4, 1.5)),
        (0.5, 0.5, Band(), (1.0, np.inf)),
        (0.25, 0.5, Band(1.0, 1.2), (0.5, 1.2)),
        (0.9, 0.5, Band(1.0, 1.2), (1.0, 1.2)),
    ],
)
def test_the_band_moves_from_easy_to_hard(share, moving, end, expected):
    assert band_at(share, moving, end) == pytest.approx(expected)


def test_a_band_that_would_be_empty_on_its_way_is_refused():
    for lower in (2.0, 3.0):
        ends = {"lower": lower, "upper": 0.0, "band": 0.5}
        if lower > 2.0:
            with pytest.raises(ConfigError, match="--autoassist-lower is 3.0, expected at most 2"):
                AutoAssistConfig(**ends)
            continue
        AutoAssistConfig(**ends)
        for share in np.linspace(0.0, 1.0, 41):
            band = band_at(share, 0.5, Band(lower))
            assert band.lower < band.upper


def test_labels_are_those_inside_the_band():
    losses = np.array([0.9, 1.0, 1.1, 2.9, 3.0, 3.1]) * 2.0
    labelled = labels(losses, 2.0, Band(1.0, 3.0))
    np.testing.assert_array_equal(labelled, [False, False, True, True, True, False])
    early = labels(losses, 2.0, band_at(0.0, 0.5, Band()))
    np.testing.assert_array_equal(early, [True, True, False, False, False, False])


def test_a_lower_limit_below_the_threshold_prefers_more_pairs():
    kept = [taught(lower=lower).keep_probability(IDS).mean() for lower in (1.0, 0.2)]
    assert kept[0] < 0.7 and kept[1] > 0.9  # no loss is so low


def misaligned(ids):
    """Odd pairs are hard, as ever; of these, every other is hopeless."""
    return np.where(ids % 4 == 3, 50.0, losses_of(ids)).astype(np.float32)


def test_the_upper_guard_does_not_prefer_the_hopeless():
    # a threshold that moves slowly stands between the easy and the hard
    settings = {"losses": misaligned, "extra_features": "loss", "gamma_decay": 0.95}
    chosen = [taught(500, upper=upper, **settings).keep_probability(IDS) for upper in (0.0, 2.0)]
    hopeless = IDS % 4 == 3
    assert chosen[0][hopeless].mean() > 0.9 > 0.5 > chosen[1][hopeless].mean()


def test_early_in_the_band_easy_pairs_are_preferred_and_late_hard_ones():
    chosen = [taught(share=share, band=0.5).keep_probability(IDS) for share in (0.0, 0.9)]
    easy = IDS % 2 == 0
    assert chosen[0][easy].mean() > 0.7 > 0.5 > chosen[0][~easy].mean()
    assert chosen[1][~easy].mean() > 0.7 > 0.5 > chosen[1][easy].mean()


@pytest.mark.parametrize("setting", [{"anneal": 0.2}, {"band": 0.3}])
def test_what_is_a_share_of_the_run_needs_its_end(setting):
    kind = type(taught())
    ((name, value),) = setting.items()
    assert kind.needs_end(AutoAssistConfig(**setting)) == f"--autoassist-{name} {value}"
    assert kind.needs_end(AutoAssistConfig()) == ""
    strategy = taught(**setting)
    strategy.at(Moment(10.0, 1.0, 0.0))
    assert strategy.gamma > 0.0


@pytest.mark.parametrize(
    "setting, found",
    [
        (
            {"upper": 0.3},
            "--autoassist-upper is 0.3, expected 0 or more than .*-lower, which is 0.3",
        ),
        ({"lower": 1.25}, "--autoassist-upper is 1.25, expected 0 or more than .* which is 1.25"),
        ({"upper": 1.5, "lower": 2.0}, "--autoassist-upper is 1.5, expected 0 or more than"),
        ({"upper": -1.0}, "--autoassist-upper is -1.0, expected at least 0"),
        ({"weights": "some"}, "--autoassist-weights is 'some', expected one of: 'none', 'inverse'"),
        ({"weight_clip": 0.5}, "--autoassist-weight-clip is 0.5, expected at least 1"),
        ({"extra_features": "lengths,age"}, "--autoassist-extra-features is 'age', expected one"),
        ({"competence_by": "age"}, "--autoassist-competence-by is 'age', expected one of"),
        ({"keep": 0.0}, "--autoassist-keep is 0.0, expected between 0.01 and 1"),
        ({"infobatch_ratio": 1.0}, "--autoassist-infobatch-ratio is 1.0, expected between 0"),
        ({"anneal": float("nan")}, "--autoassist-anneal is nan, expected between 0.0 and 1.0"),
        ({"timeout": float("inf")}, "--autoassist-timeout is inf, expected at least 0.1, finite"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(setting, found):
    with pytest.raises(ConfigError, match=found):
        AutoAssistConfig(**setting)


def test_kinds_of_features_may_be_spaced_and_empty():
    assert AutoAssistConfig(extra_features=" loss, ,lengths ").extra_kinds == ("loss", "lengths")


def test_infinity_is_another_word_for_no_upper_limit():
    assert AutoAssistConfig(upper=float("inf")) == AutoAssistConfig(upper=0.0)
    for wrong in (float("-inf"), float("nan")):
        with pytest.raises(ConfigError, match="--autoassist-upper is"):
            AutoAssistConfig(upper=wrong)
