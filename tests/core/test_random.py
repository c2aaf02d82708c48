"""Random choice, the control: it keeps its share of any pairs."""

import numpy as np
import pytest

from fairseq_autoassist.core.planner import Planner
from tests.support.planning import make_spec
from tests.support.strategies import train


@pytest.mark.parametrize("keep", [0.2, 0.6])
def test_random_keeps_its_share_of_any_pairs(keep):
    pairs, passes = 5000, 8
    planner = Planner(make_spec(pairs, strategy="random", keep=keep, chunk=1000))
    kept = []
    while planner.stream.passes < passes:
        kept += train(planner, 1)
    totals = kept[-1].totals
    deviation = np.sqrt(keep * (1 - keep) / totals.considered)
    assert abs(totals.kept / totals.considered - keep) < 5 * deviation
    parts = np.concatenate([batch.kept for batch in kept])
    assert parts["uniform"].all()  # so that aa_loss is over all that it keeps
    for half in (parts["id"] % 2, parts["id"] < pairs // 2):  # hard pairs and early pairs alike
        assert abs(half.mean() - 0.5) < 5 * 0.5 / np.sqrt(len(parts))
