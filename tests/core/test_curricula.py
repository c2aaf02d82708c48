"""Easy first by competence (Platanios et al. 2019), against numbers by hand."""

import dataclasses
import math

import numpy as np
import pytest

from fairseq_autoassist.config import AutoAssistConfig
from fairseq_autoassist.core.planner import Planner
from fairseq_autoassist.core.strategies import (
    STRATEGIES,
    Needs,
    TrainingPoint,
    build_strategy,
    needs_of,
)
from fairseq_autoassist.errors import ConfigError
from tests.support.planning import make_sizes, make_spec, sizes_of
from tests.support.strategies import (
    PAIRS,
    RareFeatures,
    choose,
    corpus_of,
    items_of,
    kept,
    observe,
    teach,
    train,
)

IDS = np.arange(PAIRS)
FOR_HALF = "--autoassist-competence-updates 0"


def built(**settings):
    return build_strategy(AutoAssistConfig(**settings), corpus_of())


def competence(**settings):
    return built(strategy="competence", **settings)


# c(t) = min(1, sqrt(t (1 - c0^2) / T + c0^2)) with c0 = 0.1, T = 100
BY_HAND = [(0, 0.1), (1, math.sqrt(0.0199)), (25, math.sqrt(0.2575)), (64, math.sqrt(0.6436))]
BY_HAND += [(100, 1.0), (5000, 1.0)]


@pytest.mark.parametrize("update, expected", BY_HAND)
@pytest.mark.parametrize("by", ["length", "rarity"])
def test_competence_grows_as_the_paper_says_and_lets_in_that_share(update, expected, by):
    strategy = competence(competence_by=by, competence_start=0.1, competence_updates=100)
    point = TrainingPoint(update, 3.0, 0.7)
    assert strategy.metrics(point)["competence"] == pytest.approx(expected, abs=1e-12)
    choice = choose(strategy, point)
    allowed = choice.probability == 1.0
    assert abs(allowed.sum() - expected * PAIRS) <= 1  # to within one pair
    difficulty = make_sizes(PAIRS)[0] if by == "length" else RareFeatures().difficulty
    assert allowed.all() or difficulty[allowed].max() <= difficulty[~allowed].min()
    assert allowed.any() and choice.uniform_share == float(allowed.all())


def test_without_a_number_of_updates_competence_grows_for_half_of_the_run():
    strategy = competence(competence_start=0.1)
    for share, expected in ((0.0, 0.1), (0.125, math.sqrt(0.2575)), (0.5, 1.0), (0.9, 1.0)):
        point = TrainingPoint(7.0, 7.0, share)
        assert strategy.metrics(point)["competence"] == pytest.approx(expected)


def test_a_pair_once_let_in_stays_in():
    strategy, before = competence(competence_updates=50), np.zeros(PAIRS, bool)
    for update in range(0, 60, 3):
        allowed = kept(strategy, TrainingPoint(update, 0.0, 0.0)) == 1.0
        assert not (before & ~allowed).any()
        before = allowed
    assert before.all()


def test_ties_in_length_are_let_in_by_pair_id():
    items = dataclasses.replace(items_of(), difficulty=(5 + IDS % 4).astype(np.int32))
    corpus = dataclasses.replace(corpus_of(), items=items)
    config = AutoAssistConfig(strategy="competence", competence_by="length", competence_updates=100)
    strategy = build_strategy(config, corpus)
    point = TrainingPoint(30, 0.0, 0.0)  # c(t) = 0.55 lets in a part of the third length
    by_length = kept(strategy, point).reshape(-1, 4).T  # a row for each length, in order of ids
    assert (np.diff(by_length) <= 0).all()
    assert any(0 < allowed.sum() < len(allowed) for allowed in by_length)


@pytest.mark.parametrize("by", ["length", "rarity"])
def test_competence_counts_eligible_pairs_only(by):
    difficulty = make_sizes(PAIRS)[0] if by == "length" else RareFeatures().difficulty
    short = difficulty <= np.quantile(difficulty, 0.8)
    eligible = np.flatnonzero(short & (IDS % 3 > 0))
    corpus = dataclasses.replace(corpus_of(), items=items_of(eligible=eligible))
    config = AutoAssistConfig(strategy="competence", competence_by=by, competence_updates=100)
    strategy = build_strategy(config, corpus)
    for update in (1, 25, 64):
        point = TrainingPoint(update, 0.0, 0.0)
        allowed = kept(strategy, point, eligible) == 1.0
        assert abs(allowed.sum() - strategy.competence(point) * len(eligible)) <= 1
        assert difficulty[eligible][allowed].max() <= difficulty[eligible][~allowed].min()


def test_a_run_by_competence_trains_on_short_sentences_first():
    spec = make_spec(4000, strategy="competence", competence_by="length", competence_updates=200)
    batches = train(Planner(spec), 260)
    source, _ = sizes_of(spec)
    lengths = [source[batch.ids].mean() for batch in batches]
    assert np.mean(lengths[:30]) < 0.5 * source.mean()
    # after 100 updates c is 0.71
    allowed = np.quantile(source, 0.75)
    early = np.concatenate([batch.ids for batch in batches[:100]])
    assert (source[early] <= allowed).all()
    assert batches[-1].metrics["competence"] == 1.0


# -- the curriculum before the Assistant chooses --------------------------------------------------

FAST = {"gamma_decay": 0.5, "guard_pairs": 0}  # shrinks after some reports


def test_while_hard_pairs_wait_the_assistant_only_learns():
    settings = {"competence_start": 0.1, "competence_updates": 100}
    alone, both = competence(**settings), built(competence=True, **settings, **FAST)
    plain = built(**FAST)
    early, late = TrainingPoint(25, 1.0, 0.1), TrainingPoint(100, 4.0, 0.4)
    for strategy in (alone, both, plain):
        teach(strategy, point=early)
    assert plain.gamma(early) > 0.5 and choose(both, early).uniform_share == 0.0
    expected = {**plain.metrics(early), **alone.metrics(early), "gamma": 0.0}
    assert both.metrics(early) == expected
    np.testing.assert_array_equal(kept(both, early), kept(alone, early))
    assert both.metrics(late) == {**plain.metrics(late), "competence": 1.0}
    chosen, expected = choose(both, late), choose(plain, late)
    assert chosen.uniform_share == expected.uniform_share > 0.0
    np.testing.assert_array_equal(chosen.probability, expected.probability)
    assert np.ptp(chosen.probability) > 0.2


# settings under which a strategy chooses within few reports; others go by their defaults
SETTINGS = {
    "random": {"keep": 0.6},
    "spl": {"spl_start": 0.3},
    "autoassist": FAST,
    "own-loss": FAST,
}


@pytest.mark.parametrize("name", STRATEGIES)
def test_around_any_strategy_hard_pairs_wait_until_the_competence_is_1(name):
    """The strategy chooses among easy pairs first, and then among all."""
    settings = {"strategy": name, **SETTINGS.get(name, {})}
    easy = {"competence": True, "competence_start": 0.1, "competence_updates": 100}
    alone, both = built(**settings), built(**settings, **easy)
    if name == "competence":  # whose hard pairs wait in any case
        alone = built(strategy="uniform")
    early, late = TrainingPoint(25, 1.0, 0.1), TrainingPoint(100, 4.0, 0.4)
    teach(alone, 60, point=early)
    teach(both, 60, point=early)
    rarity, competence = RareFeatures().difficulty, math.sqrt(0.2575)
    waits = rarity > np.quantile(rarity, competence, method="lower")
    found = choose(both, early)
    assert (found.probability[waits] == 0.0).all() and found.uniform_share == 0.0
    expected = kept(alone, early)[~waits]
    if name in ("autoassist", "own-loss"):  # these only learn while pairs wait
        expected = np.ones_like(expected)
    np.testing.assert_array_equal(found.probability[~waits], expected)
    found, expected = choose(both, late), choose(alone, late)
    np.testing.assert_array_equal(found.probability, expected.probability)
    assert found.uniform_share == expected.uniform_share
    assert (found.weight is None) == (expected.weight is None)
    assert both.metrics(late) == {**alone.metrics(late), "competence": 1.0}


@pytest.mark.parametrize("name", STRATEGIES)
def test_around_any_strategy_the_curriculum_has_no_state(name):
    """The curriculum can then be switched on or off at a resume."""
    settings = {"strategy": name, **SETTINGS.get(name, {})}
    alone, both = built(**settings), built(**settings, competence=True)
    teach(both, 20)
    alone.load_state_dict(both.state_dict())
    assert repr(alone.state_dict()) == repr(both.state_dict())
    again = built(**settings, competence=True)
    again.load_state_dict(alone.state_dict())
    np.testing.assert_array_equal(kept(again), kept(both))


def test_needs_of_the_curriculum_are_added_to_those_of_the_strategy():
    def needs(**settings):
        return needs_of(AutoAssistConfig(**settings))

    assert needs(strategy="random") == Needs(prior="ignored")
    by_rarity = Needs(features=True, prior="ignored", run_length=FOR_HALF)
    assert needs(strategy="random", competence=True) == by_rarity
    fixed = {"competence": True, "competence_by": "length", "competence_updates": 9}
    assert needs(strategy="random", **fixed) == Needs(prior="ignored")
    assert needs(strategy="uniform").keeps_all
    assert not needs(strategy="uniform", competence=True).keeps_all
    ending = needs(strategy="infobatch", **fixed)
    assert ending.losses and ending.run_length == "--autoassist-infobatch-anneal 0.125"


def test_after_a_failure_no_pair_waits():
    for fail in ("losses", "worker"):
        strategy = built(competence=True, competence_updates=100)
        assert kept(strategy).mean() < 0.1
        if fail == "worker":
            strategy.stop_shrinking()
        else:
            observe(strategy, IDS[:4], np.full(4, np.nan, np.float32))
        choice = choose(strategy)
        assert (choice.probability == 1.0).all() and choice.uniform_share == 1.0


@pytest.mark.parametrize("updates, needed", [(0, FOR_HALF), (9, "")])
def test_a_curriculum_over_a_share_of_the_run_needs_its_length(updates, needed):
    config = AutoAssistConfig(competence=True, competence_updates=updates)
    assert needs_of(config).run_length == needed
    assert needs_of(AutoAssistConfig()).run_length == ""


def test_options_of_the_curriculum_are_refused_without_its_switch():
    settings = {"competence_by": "length", "competence_updates": 9}
    with pytest.raises(ConfigError) as error:
        AutoAssistConfig(**settings)
    for words in ("--autoassist-competence-by length", "--autoassist-competence-updates 9"):
        assert f"{words} (read with --autoassist-competence, or by" in str(error.value)
    for switch in ({"competence": True}, {"strategy": "competence"}):
        assert AutoAssistConfig(**switch, **settings).competence_updates == 9
