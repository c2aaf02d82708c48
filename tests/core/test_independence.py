"""Independence of the core: no torch, no fairseq, no global random generator, little memory."""

import ast
import random
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from fairseq_autoassist.core.planner import Planner
from tests.support.corpus import ROOT
from tests.support.planning import make_spec
from tests.support.strategies import planner_of, train

PACKAGE = ROOT / "fairseq_autoassist"


# rooms that each room may import; every room may import files in no room, such as errors.py
MAY_IMPORT = {
    "core": set(),
    "text": {"core"},
    "features": {"core", "text"},
    "cli": {"core", "text", "features"},
    "plugin": {"core", "text", "features"},
    "pytorch": {"core", "features"},
}


def modules(*rooms: str) -> list[Path]:
    found = [path for room in rooms for path in (PACKAGE / room).rglob("*.py")]
    assert {path.relative_to(PACKAGE).parts[0] for path in found} == set(rooms)
    return sorted(found)


def imported(path: Path) -> set[str]:
    """Parts of the package that a file imports, also within functions."""
    parent, found = path.relative_to(ROOT).with_suffix("").parts[:-1], set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = list(parent[: len(parent) - node.level + 1]) if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            found.update(f"{start}.{alias.name}" for alias in node.names)
    inside = [name.split(".") for name in found if name.startswith(PACKAGE.name + ".")]
    return {parts[1] for parts in inside}


def test_rooms_import_in_one_direction() -> None:
    named = {"core", "text", "features", "cli", "plugin", "pytorch"}
    assert set(MAY_IMPORT) == named
    for room, allowed in MAY_IMPORT.items():
        for path in modules(room):
            others = imported(path) & named - {room}
            assert others <= allowed, f"{path} imports {sorted(others - allowed)}"
    # so that an `imported` that finds nothing cannot pass
    assert imported(PACKAGE / "plugin" / "data.py") & named == {"features", "text"}


def test_adapters_alone_import_torch_and_the_plugin_alone_fairseq() -> None:
    rooms = modules("core", "text", "features", "cli")
    paths = [path.relative_to(ROOT).with_suffix("") for path in rooms]
    names = sorted(".".join(path.parts).replace(".__init__", "") for path in paths)
    names.remove("fairseq_autoassist.features.dask_backend")  # an extra that may be missing
    assert "fairseq_autoassist.core.strategies.autoassist" in names
    core = [name for name in names if name.startswith("fairseq_autoassist.core")]
    program = (
        "import importlib, sys\n"
        "for name in sys.argv[2:]:\n"
        "    importlib.import_module(name)\n"
        "found = set(sys.argv[1].split(',')) & set(sys.modules)\n"
        "assert not found, found\n"
    )
    loop = ["fairseq_autoassist.pytorch"]
    groups = (("torch,fairseq", names), ("torch,fairseq,sklearn", core), ("fairseq", loop))
    for refused, group in groups:
        command = [sys.executable, "-c", program, refused, *group]
        subprocess.run(command, check=True, timeout=60, cwd=ROOT)


def test_the_core_names_no_command() -> None:
    for path in modules("core"):
        for command in ("autoassist-tfidf", "fairseq-preprocess", "autoassist-agreement DATA_BIN"):
            assert command not in path.read_text(encoding="utf-8"), path


@pytest.mark.parametrize(
    "case", ["uniform", "random", "autoassist", "competence by rarity", "spl", "infobatch"]
)
def test_planning_neither_reads_nor_moves_the_global_generators(case):
    planned = []
    for seed in (1, 2):
        random.seed(seed)
        np.random.seed(seed)
        before = random.getstate(), str(np.random.get_state())
        planned.append([batch.kept.tolist() for batch in train(planner_of(case), 30)])
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
