"""Fifty million pairs: ids above 2 ** 24, which float32 cannot tell apart, are exact everywhere.

All arrays by pair have their full length. Planning considers a few pairs only: those around powers
of two, where a float would round, and the last ones.
"""

import dataclasses
import io
from collections import Counter

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from fairseq_autoassist.config import AutoAssistConfig
from fairseq_autoassist.core import trace
from fairseq_autoassist.core.batching import KEPT, BatchLimits
from fairseq_autoassist.core.lineage import over_other_ranks
from fairseq_autoassist.core.memory import LossMemory
from fairseq_autoassist.core.planner import Planner
from fairseq_autoassist.core.protocol import PlanSpec, rows_to_positions
from fairseq_autoassist.core.strategies.autoassist import PAPERS_RULE
from fairseq_autoassist.core.stream import Stream, pass_coins
from fairseq_autoassist.features.rows import CsrRows
from fairseq_autoassist.tensors import from_checkpoint, to_checkpoint
from fairseq_autoassist.text.lengths import pair_items

PAIRS = 50_000_000
SEED, LAG = 3, 4
WINDOWS = [(2**24 - 300, 2**24 + 300), (2**25 - 300, 2**25 + 300), (PAIRS - 600, PAIRS)]
ELIGIBLE = np.concatenate([np.arange(low, high) for low, high in WINDOWS])
# lengths repeat every 37 pairs: an id that is off by a little has another length
SOURCE, TARGET = (5 + np.random.default_rng(i).permutation(37).astype(np.uint16) for i in (0, 1))
LIMITS = BatchLimits(max_size=600, multiple=8)


class VirtualFeatures:
    """Features computed from the id: its last bit tells which of two columns is 1."""

    rows, dimensions = PAIRS, 2
    difficulty = None

    def __init__(self):
        self.asked = []

    def gather(self, ids):
        assert ids.dtype == np.int64
        self.asked.append(ids.copy())
        offsets = np.arange(len(ids) + 1)
        entries = (np.ones(len(ids), np.float32), ids % 2, offsets)
        return CsrRows(sp.csr_array(entries, (len(ids), 2)))

    def scores(self, ids, weights):
        return weights[ids % 2]


def make_spec(strategy):
    """Spec of 50 million pairs; shrinking by the paper's rule starts early, without a guard."""
    fast = {"gamma_decay": 0.5, "guard_pairs": 0, **PAPERS_RULE}
    return PlanSpec(
        config=AutoAssistConfig(strategy, **(fast if strategy == "autoassist" else {})),
        items=pair_items(np.resize(SOURCE, PAIRS), np.resize(TARGET, PAIRS), LIMITS, ELIGIBLE),
        limits=LIMITS,
        seed=SEED,
        lag=LAG,
    )


def losses_of(ids):
    """Losses by which odd pairs are hard."""
    return (1.0 + ids % 2).astype(np.float32)


def train(planner, batches):
    out = []
    for _ in range(batches):
        batch = planner.plan()
        planner.receive(batch.number, losses_of(batch.ids))
        out.append(batch)
    return out


def saved_and_loaded(state):
    """State read back from a checkpoint, with ``weights_only``."""
    stream = io.BytesIO()
    torch.save(to_checkpoint(state), stream)
    stream.seek(0)
    return from_checkpoint(torch.load(stream, weights_only=True))


def coin_of(number, pair):
    """Coin of one pair, by a jump to its place among the random numbers of the pass."""
    generator = np.random.Philox(key=np.array([SEED, 2 * number + 1], dtype=np.uint64))
    generator.advance(pair // 8)  # a step of Philox gives eight numbers of 32 bits
    return np.random.Generator(generator).random(8, dtype=np.float32)[pair % 8]


def test_a_whole_pass_has_every_id_once_with_its_own_coin():
    stream = Stream(PAIRS, SEED)
    coins = pass_coins(SEED, 0, PAIRS)
    seen = np.zeros(PAIRS, dtype=bool)
    considered = 0
    while stream.position[0] == 0:
        ids, got = stream.take(1 << 20)
        assert ids.dtype == np.int64
        np.testing.assert_array_equal(got, coins[ids])
        seen[ids] = True
        considered += len(ids)
    assert considered == PAIRS and seen.all()
    for pair in (2**24 - 1, 2**24, 2**24 + 1, 2**25 + 3, PAIRS - 1):
        assert coins[pair] == coin_of(0, pair)


def test_a_resume_on_three_ranks_shares_the_rest_of_a_pass():
    whole = Stream(PAIRS, SEED, ELIGIBLE)
    first, coins = whole.take(700)
    assert coins.tolist() == [coin_of(0, pair) for pair in first.tolist()]
    seen = first.tolist()
    for rank in (0, 1, 2):
        stream = Stream(PAIRS, SEED, ELIGIBLE, rank, 3)
        stream.load_state_dict(over_other_ranks([whole.state_dict()], rank, 3))
        while stream.position[0] == 0:
            seen += stream.take(100)[0].tolist()
    assert sorted(seen) == ELIGIBLE.tolist()


def test_batches_have_every_pair_once_per_pass_and_hold_the_limits():
    planner = Planner(make_spec("uniform"))
    seen = Counter()
    while planner.stream.position[0] < 2:
        (batch,) = train(planner, 1)
        assert batch.kept.dtype == KEPT and batch.ids.dtype == np.int64
        longest = max(SOURCE[batch.ids % 37].max(), TARGET[batch.ids % 37].max())
        assert longest * len(batch.ids) <= LIMITS.max_size
        seen.update(batch.ids.tolist())
    kept = [planner.buckets.take_all(), *planner._ready]
    seen.update(np.concatenate(kept)["id"].tolist())
    passes, part = planner.stream.position
    assert sorted(seen) == ELIGIBLE.tolist()
    assert set(seen.values()) <= {passes, passes + 1} and sum(seen.values()) == 3600 + part
    totals = planner._totals
    considered = np.array(list(seen.elements()))
    assert totals.considered_cost == int(TARGET[considered % 37].sum())


def test_reports_learning_and_a_resumed_run_are_exact(tmp_path):
    spec = make_spec("autoassist")
    planner = Planner(spec, VirtualFeatures())
    learned = _recorded(planner)
    batches = train(planner, 80)
    assert batches[-1].metrics["acc"] > 0.99  # an id off by one is of the other half
    late = np.concatenate([batch.ids for batch in batches[50:]])
    assert (late % 2 == 1).mean() > 0.6 and np.isin(late, ELIGIBLE).all()
    for batch, report, asked in zip(batches, learned, planner.strategy.source.asked):
        np.testing.assert_array_equal(report.ids, batch.ids)
        np.testing.assert_array_equal(asked, batch.ids)
        np.testing.assert_array_equal(report.losses, losses_of(batch.ids))

    state = planner.state_dict()
    resumed = Planner(dataclasses.replace(spec), VirtualFeatures())
    resumed.load_state_dict(saved_and_loaded(state))
    again = resumed.state_dict()
    np.testing.assert_array_equal(again["buckets"]["kept"], state["buckets"]["kept"])
    learned_again = _recorded(resumed)
    expected, got = train(planner, 20), train(resumed, 20)
    assert [b.kept.tolist() for b in got] == [b.kept.tolist() for b in expected]
    assert [r.ids.tolist() for r in learned_again] == [r.ids.tolist() for r in learned[-20:]]

    writer = trace.TraceWriter(str(tmp_path), 0)
    for batch in batches:
        writer.write(batch.number + 1, batch.number, batch.ids)
    written = trace.read(tmp_path)["id"]
    np.testing.assert_array_equal(written, np.concatenate([batch.ids for batch in batches]))


def _recorded(planner):
    """List to which every report is added that the strategy learns from."""
    reports, observe = [], planner.strategy.observe

    def recording(report, point):
        reports.append(report)
        observe(report, point)

    planner.strategy.observe = recording
    return reports


@pytest.mark.parametrize("low, high", WINDOWS)
def test_each_loss_is_remembered_under_its_own_id(low, high):
    memory = LossMemory(PAIRS)
    odd = np.arange(low + 1, high, 2)
    memory.record(odd, odd % 1000 / 8)
    np.testing.assert_array_equal(memory.of(odd), (odd % 1000 / 8).astype(np.float16))
    assert np.isnan(memory.of(odd - 1)).all()


def test_rows_find_their_positions_among_the_ids():
    ids = np.random.default_rng(0).permutation(ELIGIBLE)
    rows = torch.from_numpy(np.sort(ids)).numpy()
    np.testing.assert_array_equal(ids[rows_to_positions(rows, ids)], rows)
