"""Buckets: equal to an oracle that handles one pair at a time; limits hold, no pair is lost."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_autoassist.core.batching import KEPT, BatchLimits, Buckets
from fairseq_autoassist.text.lengths import length_buckets
from tests.support.planning import batch_limits, make_sizes

LIMITS = batch_limits(400)


def make_kept(ids):
    kept = np.empty(len(ids), KEPT)
    kept["id"], kept["uniform"], kept["weight"] = ids, np.asarray(ids) % 3 == 0, 1.0
    return kept


def make_buckets(source, target, limits):
    assignment = length_buckets(source, target, limits, len(source))
    count = int(assignment.max()) + 1
    return Buckets(assignment, np.maximum(source, target), count, limits), assignment


def held(buckets):
    """Number of items in open buckets."""
    return len(buckets.state_dict()["kept"])


class PlainBuckets:
    """Oracle that handles one pair at a time."""

    def __init__(self, assignment, tokens, limits):
        self.assignment, self.tokens, self.limits = assignment, tokens, limits
        self.open = {}

    def fits(self, ids):
        limits = self.limits
        longest = max(self.tokens[i] for i in ids)
        tokens_fit = limits.max_size is None or longest * len(ids) <= limits.max_size
        return tokens_fit and (limits.max_items is None or len(ids) <= limits.max_items)

    def add(self, new):
        batches = []
        for i in new:
            ids = self.open.setdefault(self.assignment[i], [])
            while ids and not self.fits([*ids, i]):
                size = len(ids)
                if size >= self.limits.multiple:
                    size -= size % self.limits.multiple
                batches.append(ids[:size])
                del ids[:size]
            ids.append(i)
        return batches


@settings(max_examples=60, deadline=None)
@given(LIMITS, st.integers(1, 300), st.integers(1, 120), st.integers(0, 10**6))
def test_equals_the_plain_oracle_whatever_the_chunk(limits, pairs, chunk, seed):
    source, target = make_sizes(pairs, seed)
    buckets, assignment = make_buckets(source, target, limits)
    plain = PlainBuckets(assignment, np.maximum(source, target), limits)
    order = np.random.default_rng(seed).permutation(pairs)
    order = np.concatenate([order, order[::-1]])
    got, expected = [], []
    for start in range(0, len(order), chunk):
        part = order[start : start + chunk]
        got += [batch["id"].tolist() for batch in buckets.add(make_kept(part))]
        expected += plain.add(part.tolist())
    assert got == expected
    assert held(buckets) == sum(map(len, plain.open.values()))


@settings(max_examples=60, deadline=None)
@given(LIMITS, st.integers(1, 300), st.integers(0, 10**6), st.booleans())
def test_no_pair_is_lost_or_doubled_and_limits_hold(limits, pairs, seed, interrupt):
    source, target = make_sizes(pairs, seed)
    tokens = np.maximum(source, target)
    buckets, _ = make_buckets(source, target, limits)
    rng = np.random.default_rng(seed)
    put, batches = Counter(), []
    for _number in range(4):
        for part in np.array_split(rng.permutation(pairs), 5):
            put.update(part.tolist())
            batches += buckets.add(make_kept(part))
            if interrupt:
                state = buckets.state_dict()
                buckets, _ = make_buckets(source, target, limits)
                buckets.load_state_dict(state)
        batches += buckets.end_of_pass()
    for batch in batches:
        size = len(batch)
        assert size % limits.multiple == 0 or size < limits.multiple
        if limits.max_size is not None:
            assert size * tokens[batch["id"]].max() <= limits.max_size
        if limits.max_items is not None:
            assert size <= limits.max_items
        np.testing.assert_array_equal(batch["uniform"], batch["id"] % 3 == 0)
    out = Counter(i for batch in batches for i in batch["id"].tolist())
    out.update(buckets.take_all()["id"].tolist())
    assert out == put
    assert held(buckets) == 0


def test_resumed_buckets_make_the_same_batches():
    source, target = make_sizes(400)
    limits = BatchLimits(max_size=200, multiple=8)
    one, _ = make_buckets(source, target, limits)
    two, _ = make_buckets(source, target, limits)
    ids = np.random.default_rng(0).permutation(400)
    one.add(make_kept(ids[:200]))
    two.load_state_dict(one.state_dict())
    first, second = ([b.tolist() for b in x.add(make_kept(ids[200:]))] for x in (one, two))
    assert first == second != []


def test_a_bucket_without_a_batch_is_emptied_at_the_end_of_a_pass():
    source, target = make_sizes(10)
    buckets, _ = make_buckets(source, target, BatchLimits(max_size=10_000))
    assert buckets.add(make_kept(np.arange(10))) == []
    assert sum(len(batch) for batch in buckets.end_of_pass()) == 10


def test_a_bucket_that_gave_a_batch_keeps_the_rest_over_the_end_of_a_pass():
    """Otherwise most buckets would give a small batch, with much padding, at each end of a pass."""
    sizes = np.full(22, 5)
    buckets, _ = make_buckets(sizes, sizes, BatchLimits(None, 20, 1))
    assert [len(batch) for batch in buckets.add(make_kept(np.arange(22)))] == [20]
    assert buckets.end_of_pass() == [] and held(buckets) == 2
    # it gave no batch in the pass that follows
    assert [len(batch) for batch in buckets.end_of_pass()] == [2]


def test_refuses_a_state_with_another_number_of_buckets():
    source, target = make_sizes(400)
    small, _ = make_buckets(source, target, BatchLimits(max_size=100))
    large, _ = make_buckets(source, target, BatchLimits(max_size=4000))
    with pytest.raises(ValueError, match="buckets"):
        large.load_state_dict(small.state_dict())
