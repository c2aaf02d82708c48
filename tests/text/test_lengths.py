"""Buckets by length: their layout depends on eligible pairs only."""

import numpy as np

from fairseq_autoassist.core.batching import BatchLimits
from fairseq_autoassist.text.lengths import length_buckets
from tests.support.planning import make_sizes


def test_pairs_that_are_not_eligible_take_no_bucket():
    """Eligible pairs have the buckets that they have without the others."""
    limits = BatchLimits(max_size=1000, multiple=8)
    source, target = make_sizes(6000)
    alone = length_buckets(source, target, limits, 6000)
    mixed = np.r_[source, np.arange(100, 6100)], np.r_[target, np.arange(6100, 100, -1)]
    order = np.random.default_rng(1).permutation(12000)
    eligible = np.flatnonzero(order < 6000)
    sizes = [side[order] for side in mixed]
    among = length_buckets(*sizes, limits, 6000, eligible)
    assert among[eligible].max() == alone.max() > 20
    np.testing.assert_array_equal(among[eligible], alone[order[eligible]])
    assert length_buckets(*sizes, limits, 6000).max() > alone.max()  # eligible, they take some
