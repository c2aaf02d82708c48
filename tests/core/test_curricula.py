"""Easy first: competence (by hand numbers) and self-paced learning."""

import dataclasses
import math

import numpy as np
import pytest

from fairseq_autoassist.config import AutoAssistConfig
from fairseq_autoassist.core.planner import Planner
from fairseq_autoassist.core.strategies import Moment, Report, build_strategy, without_effect
from fairseq_autoassist.core.strategies.autoassist import AutoAssist
from tests.support.planning import make_sizes, make_spec, sizes_of
from tests.support.strategies import PAIRS, RareFeatures, corpus_of, losses_of, teach, train

IDS = np.arange(PAIRS)


def built(**settings):
    return build_strategy(AutoAssistConfig(**settings), corpus_of())


def competence(**settings):
    return built(strategy="competence", **settings)


# -- competence (Platanios et al. 2019) -----------------------------------------------------------

# c(t) = min(1, sqrt(t (1 - c0^2) / T + c0^2)) with c0 = 0.1, T = 100
BY_HAND = [(0, 0.1), (1, math.sqrt(0.0199)), (25, math.sqrt(0.2575)), (64, math.sqrt(0.6436))]
BY_HAND += [(100, 1.0), (5000, 1.0)]


@pytest.mark.parametrize("update, expected", BY_HAND)
@pytest.mark.parametrize("by", ["length", "rarity"])
def test_competence_grows_as_the_paper_says_and_lets_in_that_share(update, expected, by):
    strategy = competence(competence_by=by, competence_start=0.1, competence_updates=100)
    strategy.at(Moment(update, 3.0, 0.7))
    assert strategy.metrics()["competence"] == pytest.approx(expected, abs=1e-12)
    kept = strategy.keep_probability(IDS) == 1.0
    assert abs(kept.sum() - expected * PAIRS) <= 1  # a pair is the finest there is
    difficulty = make_sizes(PAIRS)[0] if by == "length" else RareFeatures().rarity
    assert kept.all() or difficulty[kept].max() <= difficulty[~kept].min()
    assert kept.any() and strategy.uniform_share == float(kept.all())


def test_without_a_number_of_updates_it_takes_half_of_the_run():
    strategy = competence(competence_start=0.1)
    for share, expected in ((0.0, 0.1), (0.125, math.sqrt(0.2575)), (0.5, 1.0), (0.9, 1.0)):
        strategy.at(Moment(7.0, 7.0, share))
        assert strategy.metrics()["competence"] == pytest.approx(expected)


def test_a_pair_once_let_in_stays_in():
    strategy, before = competence(competence_updates=50), np.zeros(PAIRS, bool)
    for update in range(0, 60, 3):
        strategy.at(Moment(update, 0.0, 0.0))
        kept = strategy.keep_probability(IDS) == 1.0
        assert not (before & ~kept).any()
        before = kept
    assert before.all()


def test_ties_in_length_are_let_in_by_pair_id():
    corpus = dataclasses.replace(corpus_of(), source_sizes=(5 + IDS % 4).astype(np.int32))
    config = AutoAssistConfig(strategy="competence", competence_by="length", competence_updates=100)
    strategy = build_strategy(config, corpus)
    strategy.at(Moment(30, 0.0, 0.0))  # c(t) = 0.55: a part of the third length
    by_length = strategy.keep_probability(IDS).reshape(-1, 4).T  # each in order of ids
    assert (np.diff(by_length) <= 0).all()
    assert any(0 < kept.sum() < len(kept) for kept in by_length)


@pytest.mark.parametrize("by", ["length", "rarity"])
def test_competence_counts_only_what_may_be_trained_on(by):
    difficulty = make_sizes(PAIRS)[0] if by == "length" else RareFeatures().rarity
    short = difficulty <= np.quantile(difficulty, 0.8)  # and of these not every third
    eligible = np.flatnonzero(short & (IDS % 3 > 0))
    corpus = dataclasses.replace(corpus_of(), eligible=eligible)
    config = AutoAssistConfig(strategy="competence", competence_by=by, competence_updates=100)
    strategy = build_strategy(config, corpus)
    for update in (1, 25, 64):
        strategy.at(Moment(update, 0.0, 0.0))
        kept = strategy.keep_probability(eligible) == 1.0
        assert abs(kept.sum() - strategy.competence * len(eligible)) <= 1
        assert difficulty[eligible][kept].max() <= difficulty[eligible][~kept].min()


def test_a_run_by_competence_trains_on_short_sentences_first():
    spec = make_spec(4000, strategy="competence", competence_by="length", competence_updates=200)
    batches = train(Planner(spec), 260)
    source, _ = sizes_of(spec)
    lengths = [source[batch.ids].mean() for batch in batches]
    assert np.mean(lengths[:30]) < 0.5 * source.mean()
    # what is trained on after 100 updates was let in by then, for the most part: c = 0.71
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
    for strategy in (alone, both, plain):
        strategy.at(Moment(25, 1.0, 0.1))
        teach(strategy)
    assert plain.gamma > 0.5 and both.gamma == 0.0 == both.uniform_share
    assert both.metrics() == {**plain.metrics(), **alone.metrics(), "gamma": 0.0}
    np.testing.assert_array_equal(both.keep_probability(IDS), alone.keep_probability(IDS))
    for strategy in (both, plain):
        strategy.at(Moment(100, 4.0, 0.4))
    assert both.gamma == plain.gamma and both.uniform_share == plain.uniform_share > 0.0
    chosen = both.keep_probability(IDS)
    np.testing.assert_array_equal(chosen, plain.keep_probability(IDS))
    assert np.ptp(chosen) > 0.2


def test_where_something_failed_no_pair_waits():
    for fail in ("losses", "worker"):
        strategy = built(competence=True, competence_updates=100)
        assert strategy.keep_probability(IDS).mean() < 0.1
        if fail == "worker":
            strategy.stop_shrinking()
        else:
            know(strategy, IDS[:4], np.full(4, np.nan, np.float32))
        assert (strategy.keep_probability(IDS) == 1.0).all()
        assert strategy.uniform_share == 1.0


@pytest.mark.parametrize("updates, needed", [(0, "--autoassist-competence-updates 0"), (9, "")])
def test_a_share_of_the_run_needs_its_end(updates, needed):
    config = AutoAssistConfig(competence=True, competence_updates=updates)
    assert AutoAssist.needs_end(config) == needed
    assert AutoAssist.needs_end(AutoAssistConfig()) == ""


def test_a_curriculum_without_its_switch_is_named():
    settings = {"competence_by": "length", "competence_updates": 9}
    named = ["--autoassist-competence-by length", "--autoassist-competence-updates 9"]
    named = [f"{words} without --autoassist-competence" for words in named]
    assert without_effect(AutoAssistConfig(**settings)) == named
    assert without_effect(AutoAssistConfig(competence=True, **settings)) == []


# -- self-paced learning --------------------------------------------------------------------------


def spl(**settings):
    return built(strategy="spl", **settings)


def know(strategy, ids=IDS, losses=None):
    losses = losses_of(ids) if losses is None else losses
    strategy.observe(Report(ids, losses, np.ones(len(ids), bool)))


@pytest.mark.parametrize("passes, pace", [(0, 0.25), (4, 0.55), (9, 0.925), (10, 1.0), (30, 1.0)])
def test_the_pace_grows_from_a_quarter_to_everything(passes, pace):
    strategy = spl()
    know(strategy)
    strategy.at(Moment(50.0, float(passes), 0.9))
    assert strategy.metrics()["pace"] == pytest.approx(pace)
    kept = strategy.keep_probability(IDS) == 1.0
    losses = losses_of(IDS)
    assert kept.mean() == pytest.approx(pace, abs=0.01)
    # remembered in two bytes each: about three digits
    assert kept.all() or losses[kept].max() <= losses[~kept].min() + 2e-3
    assert strategy.uniform_share == float(pace == 1.0)


def test_of_unknown_pairs_it_keeps_a_share():
    strategy = spl(spl_start=0.4)
    assert (strategy.keep_probability(IDS) == np.float32(0.4)).all()
    know(strategy, IDS[:100])
    kept = strategy.keep_probability(IDS)
    assert (kept[100:] == np.float32(0.4)).all() and set(kept[:100].tolist()) == {0.0, 1.0}
    assert kept[:100].mean() == pytest.approx(0.4, abs=0.01)


def test_the_last_loss_counts():
    strategy = spl()
    know(strategy)
    before = strategy.keep_probability(IDS)
    know(strategy, losses=losses_of(IDS)[::-1])
    for _ in range(8):  # the quantile is taken anew now and then
        after = strategy.keep_probability(IDS)
    np.testing.assert_array_equal(after, before[::-1])


def test_the_quantile_is_taken_anew_by_share_of_a_pass_too():
    """A rank of many decides on few chunks in a pass."""
    strategy = spl(spl_passes=1e9)
    strategy.at(Moment(0.0, 1.0, 0.0))
    know(strategy)
    before = strategy.keep_probability(IDS)
    know(strategy, losses=losses_of(IDS)[::-1] + 5.0)
    strategy.at(Moment(0.0, 1.1, 0.0))
    assert not strategy.keep_probability(IDS).any()  # all are above what was a quarter before
    resumed = spl(spl_passes=1e9)
    resumed.load_state_dict(strategy.state_dict())
    for one in (strategy, resumed):
        one.at(Moment(0.0, 1.124, 0.0))
        assert not one.keep_probability(IDS).any()
        one.at(Moment(0.0, 1.125, 0.0))
        np.testing.assert_array_equal(one.keep_probability(IDS), before[::-1])


def test_no_passes_and_a_start_with_everything_keep_everything():
    for settings in ({"spl_passes": 0.0}, {"spl_start": 1.0}):
        strategy = spl(**settings)
        know(strategy)
        assert (strategy.keep_probability(IDS) == 1.0).all()


def test_a_self_paced_run_trains_on_easy_pairs_first_and_then_on_all():
    planner = Planner(make_spec(2000, strategy="spl", spl_passes=6.0, chunk=64))
    batches = train(planner, 1500)
    by_pass = [[i for b in batches if int(b.passes) == p for i in b.ids.tolist()] for p in (2, 7)]
    hard = [np.mean(losses_of(np.array(ids)) > 1.5) for ids in by_pass]
    # in the third pass half of the pairs not seen before are let in, whatever they are
    assert hard[0] < 0.35 and hard[1] == pytest.approx(0.5, abs=0.05)
