"""Random choice, the control: the share that it keeps."""

import numpy as np
import pytest

from fairseq_autoassist.core.planner import Planner
from tests.support.planning import make_spec
from tests.support.strategies import train


@pytest.mark.parametrize("keep", [0.2, 0.6])
def test_keeps_the_share_of_any_pair(keep):
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
    for half in (parts["id"] % 2, parts["id"] < pairs // 2):  # hard ones and early ones alike
        assert abs(half.mean() - 0.5) < 5 * 0.5 / np.sqrt(len(parts))
