"""The core stands alone: no torch, no fairseq, no generator of the program's, and little memory."""

import random
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from fairseq_autoassist.core.planner import Planner
from tests.support.corpus import ROOT
from tests.support.planning import make_spec
from tests.support.strategies import planner_of, train

PACKAGE = ROOT / "fairseq_autoassist"


def test_no_part_of_the_core_imports_torch_or_fairseq():
    paths = [path.relative_to(ROOT).with_suffix("") for path in (PACKAGE / "core").rglob("*.py")]
    names = sorted(".".join(path.parts).replace(".__init__", "") for path in paths)
    assert "fairseq_autoassist.core.strategies.autoassist" in names
    program = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
        "assert not {'torch', 'fairseq', 'sklearn'} & set(sys.modules), 'too much'\n"
    )
    subprocess.run([sys.executable, "-c", program, *names], check=True, timeout=60, cwd=ROOT)


@pytest.mark.parametrize(
    "case", ["uniform", "random", "autoassist", "competence by rarity", "spl", "infobatch"]
)
def test_planning_neither_reads_nor_moves_the_global_generators(case):
    planned = []
    for seed in (1, 2):
        random.seed(seed)
        np.random.seed(seed)
        before = random.getstate(), str(np.random.get_state())
        planned.append([batch.pairs.tolist() for batch in train(planner_of(case), 30)])
        assert (random.getstate(), str(np.random.get_state())) == before
    assert planned[0] == planned[1]


def test_a_planner_holds_at_most_16_bytes_a_pair():
    pairs = 300_000
    spec = make_spec(pairs, chunk=1000)
    tracemalloc.start()
    try:
        planner = Planner(spec)
        planner.plan()
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held <= 16 * pairs
