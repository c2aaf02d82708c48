"""Folders that appear whole or not at all, after a kill too."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

from fairseq_autoassist.features import staging


def test_features_come_back_where_a_kill_left_them_between_two_names(tmp_path: Path) -> None:
    target, gone = tmp_path / "train.de-en", dead_process()
    old = tmp_path / f".train.de-en.tmp-{socket.gethostname()}-{gone}.old"
    for renamed in (True, False):  # the second time the new features stand in their place
        old.mkdir()
        (old / "block0.data").write_bytes(b"old")
        with staging.staging_folder(target) as folder:
            assert (target / "block0.data").read_bytes() == (b"old" if renamed else b"new")
            (folder / "block0.data").write_bytes(b"new")
            staging.publish(folder, target)
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


def dead_process() -> int:
    """Id of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait(20)
    return process.pid
