"""A command that is killed: no partial or false output."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fairseq_autoassist.cli.agreement import main
from fairseq_autoassist.errors import FeatureError
from fairseq_autoassist.features.agreement.files import NAMES, Agreement
from tests.support.agreement import names_in, place, with_features
from tests.support.corpus import ROOT, multi30k_pairs
from tests.support.processes import alive, children, wait_for

CLI = [sys.executable, "-m", "fairseq_autoassist.cli.agreement"]


def started(data: Path, *words: str) -> subprocess.Popen:
    """Start the command in a process group of its own; returns once it has drawn its sample."""
    command = [*CLI, str(data), "--no-progress", *words]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, cwd=ROOT, start_new_session=True, **pipes)

    def learns() -> bool:
        assert process.poll() is None
        return any(place(data).glob(".agreement.tmp-*/round0/weights.npy"))

    try:
        wait_for(learns, 120, "the command to learn")
    except BaseException:
        end(process)
        raise
    return process


def end(process: subprocess.Popen) -> None:
    """Kill what is left of the command."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.communicate(timeout=20)


def without_tracker(said: str) -> str:
    """Leave out warnings of joblib's tracker, which removes a folder itself on a loaded machine."""
    tracker = re.compile(r".*resource_tracker.*\n( *warnings\.warn\(.*\n)?")
    return tracker.sub("", said)


@pytest.mark.parametrize(
    ("number", "workers"), [(signal.SIGTERM, 1), (signal.SIGKILL, 1), (signal.SIGTERM, 2)]
)
def test_a_command_killed_while_it_learns_leaves_no_agreement(
    data: Path, number: signal.Signals, workers: int
) -> None:
    before = names_in(data)
    process = started(data, "--workers", str(workers))
    try:
        mine = children(process.pid)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
        wait_for(lambda: not any(map(alive, mine)), 30, "workers to end")
    finally:
        end(process)
    ruins = [name for name in names_in(data) if name not in before]
    if number == signal.SIGTERM:
        assert process.returncode == 143 and ruins == []
        assert without_tracker(said) == "autoassist-agreement: stopped by SIGTERM\n"
        return
    assert process.returncode == -signal.SIGKILL and any(".agreement.tmp-" in n for n in ruins)
    assert Agreement.open(place(data), "again") is None  # no file of it is found
    assert main([str(data), "--no-progress"]) == 0
    new = [Path(name).name for name in names_in(data) if name not in before]
    assert sorted(new) == sorted([*NAMES, "agreement.png"])


KILLED = """
import os, signal, sys, types
from fairseq_autoassist.cli import agreement
from fairseq_autoassist.features.agreement import writing
renames = []
def replace(*paths):
    if len(renames) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    renames.append(os.replace(*paths))
writing.os = types.SimpleNamespace(replace=replace)
agreement.main([sys.argv[1], "--no-progress"])
"""


@pytest.mark.parametrize("renames", [0, 2])
def test_a_command_killed_while_it_publishes_leaves_what_is_refused(
    tmp_path: Path, renames: int
) -> None:
    """Half of an agreement is refused in one line, and the next run makes it whole."""
    data = with_features(tmp_path / "bin", multi30k_pairs("train", 300))
    assert main([str(data), "--no-progress"]) == 0
    wanted = names_in(data)
    command = [sys.executable, "-c", KILLED, str(data), str(renames)]
    run = subprocess.run(command, cwd=ROOT, timeout=120, capture_output=True)
    assert run.returncode == -signal.SIGKILL, run.stderr
    assert len(list(place(data).glob(".agreement.tmp-*"))) == 1
    with pytest.raises(FeatureError, match="is not whole.*again") as caught:
        Agreement.open(place(data), "again")
    assert "\n" not in str(caught.value)
    assert main([str(data), "--no-progress"]) == 0
    assert names_in(data) == wanted
    opened = Agreement.open(place(data), "again")
    assert opened is not None
    opened.check_sizes()
