"""Edges of the bins of the statistics, from a sample of pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairseq_autoassist.features.agreement import learning
from fairseq_autoassist.features.agreement.reading import Pairs
from fairseq_autoassist.features.agreement.statistics import BINS, bin_edges, codes
from tests.support.agreement import pairs_of

LENGTHS = np.repeat(np.arange(1, BINS + 1), 500)  # of the sources, short ones first


def source_lengths(lexicons: Any, pairs: Pairs, *learned: Any) -> np.ndarray:
    """Statistic in place of the nine: tokens of the source."""
    return pairs.source.lengths[:, None].astype(np.float32)


@pytest.mark.parametrize("most", [400, len(LENGTHS)])
def test_bins_hold_equal_shares_of_the_whole_sample(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """The first pairs of a corpus may differ from all others, as in ``a:b``."""
    monkeypatch.setattr(learning, "CHUNK", most)
    monkeypatch.setattr(learning, "statistics", source_lengths)
    pairs = pairs_of([[5] * length for length in LENGTHS], [[6]] * len(LENGTHS))
    none: Any = None
    edges = learning._edges(pairs, none, none, 0.0, Path())
    values = source_lengths(none, pairs)
    assert np.bincount(codes(values, edges)[:, 0]).tolist() == [500] * BINS
    if most == len(LENGTHS):  # all pairs
        np.testing.assert_array_equal(edges, bin_edges(values))
