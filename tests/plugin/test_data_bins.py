"""Several data-bins in turn (``a:b``): each continues with the newest state."""

from __future__ import annotations

import numpy as np

from fairseq_autoassist.core.planner import Planner
from fairseq_autoassist.plugin.shards import Shards
from tests.plugin.test_resume import LAG, data_bin
from tests.plugin.test_resume import train as train_on
from tests.support.strategies import PAIRS, RareFeatures, spec_of, train


def planner_on(shards, shard, pairs):
    """Planner with an Assistant, which resumes in a data-bin."""
    shards.current = shard
    spec = spec_of("autoassist", pairs)
    state, _ = shards.here(spec)
    planner = Planner(spec, RareFeatures(pairs))
    if state is not None:
        planner.load_state_dict(state["planner"])
    return planner


def test_back_on_a_data_bin_the_newest_assistant_goes_on():
    shards, weights = Shards(), []
    for shard, pairs in ((0, PAIRS), (1, 250)):
        planner = planner_on(shards, shard, pairs)
        train(planner, 25)
        weights.append(planner.strategy.assistant.weights)
        state = {"trained": 25, "planner": planner.state_dict()}
        shards.own(state, None, spec_of("autoassist", pairs))
    assert not np.array_equal(*weights)  # the Assistant learned in the second, too
    back = planner_on(shards, 0, PAIRS)
    np.testing.assert_array_equal(back.strategy.assistant.weights, weights[1])
    assert back.stream.position > (0, 0)  # the stream resumes where it was there


def test_back_on_a_data_bin_the_count_of_updates_is_that_of_the_run():
    shards, first, second = Shards(), data_bin(150), data_bin(120)
    train_on(shards, 0, first, 20, 0)
    train_on(shards, 1, second, 20, 20)
    # the first LAG batches were planned before the state was saved
    assert train_on(shards, 0, first, 20, 40)[LAG:] == list(range(40 + LAG, 60))
