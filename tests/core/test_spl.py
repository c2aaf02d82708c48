"""Self-paced learning (Kumar et al. 2010): the pace, unknown losses, and the quantile."""

import numpy as np
import pytest

from fairseq_autoassist.config import AutoAssistConfig
from fairseq_autoassist.core.planner import Planner
from fairseq_autoassist.core.strategies import TrainingPoint, build_strategy
from tests.support.planning import make_spec
from tests.support.strategies import PAIRS, choose, corpus_of, kept, losses_of, observe, train

IDS = np.arange(PAIRS)


def spl(**settings):
    return build_strategy(AutoAssistConfig(strategy="spl", **settings), corpus_of())


def know(strategy, ids=IDS, losses=None):
    losses = losses_of(ids) if losses is None else losses
    observe(strategy, ids, losses)


@pytest.mark.parametrize("passes, pace", [(0, 0.25), (4, 0.55), (9, 0.925), (10, 1.0), (30, 1.0)])
def test_the_pace_grows_from_a_quarter_to_everything(passes, pace):
    strategy = spl()
    know(strategy)
    point = TrainingPoint(50.0, float(passes), 0.9)
    assert strategy.metrics(point)["pace"] == pytest.approx(pace)
    choice = choose(strategy, point)
    easy = choice.probability == 1.0
    losses = losses_of(IDS)
    assert easy.mean() == pytest.approx(pace, abs=0.01)
    # the memory holds float16: about three digits
    assert easy.all() or losses[easy].max() <= losses[~easy].min() + 2e-3
    assert choice.uniform_share == float(pace == 1.0)


def test_a_share_of_unknown_pairs_is_kept():
    strategy = spl(spl_start=0.4)
    assert (kept(strategy) == np.float32(0.4)).all()
    know(strategy, IDS[:100])
    found = kept(strategy)
    assert (found[100:] == np.float32(0.4)).all() and set(found[:100].tolist()) == {0.0, 1.0}
    assert found[:100].mean() == pytest.approx(0.4, abs=0.01)


def test_the_last_loss_counts():
    strategy = spl()
    know(strategy)
    before = kept(strategy)
    know(strategy, losses=losses_of(IDS)[::-1])
    for _ in range(8):  # the quantile is taken again after some chunks
        after = kept(strategy)
    np.testing.assert_array_equal(after, before[::-1])


def test_the_quantile_is_also_taken_again_after_a_share_of_a_pass():
    """One of many ranks has few chunks in a pass."""
    strategy = spl(spl_passes=1e9)
    know(strategy)
    before = kept(strategy, TrainingPoint(0.0, 1.0, 0.0))
    know(strategy, losses=losses_of(IDS)[::-1] + 5.0)
    # all losses are now above the old quantile
    assert not kept(strategy, TrainingPoint(0.0, 1.1, 0.0)).any()
    resumed = spl(spl_passes=1e9)
    resumed.load_state_dict(strategy.state_dict())
    for one in (strategy, resumed):
        assert not kept(one, TrainingPoint(0.0, 1.124, 0.0)).any()
        after = kept(one, TrainingPoint(0.0, 1.125, 0.0))
        np.testing.assert_array_equal(after, before[::-1])


def test_zero_passes_or_a_start_of_1_keep_everything():
    for settings in ({"spl_passes": 0.0}, {"spl_start": 1.0}):
        strategy = spl(**settings)
        know(strategy)
        assert (kept(strategy) == 1.0).all()


def test_a_self_paced_run_trains_on_easy_pairs_first_and_then_on_all():
    planner = Planner(make_spec(2000, strategy="spl", spl_passes=6.0, chunk=64))
    batches = train(planner, 1500)
    by_pass = [[i for b in batches if int(b.passes) == p for i in b.ids.tolist()] for p in (2, 7)]
    hard = [np.mean(losses_of(np.array(ids)) > 1.5) for ids in by_pass]
    # in the third pass half of the unseen pairs are let in, of any kind
    assert hard[0] < 0.35 and hard[1] == pytest.approx(0.5, abs=0.05)
