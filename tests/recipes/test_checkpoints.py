"""Refusal of a last checkpoint that is cut short, with the command that mends the run."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from preprocess.text import UserError
from recipes.common.checkpoints import check_last
from recipes.common.data import ROOT


def save(path: Path, whole: bool) -> None:
    torch.save({"model": {}, "optimizer_history": [{"num_updates": 1}]}, path)
    if not whole:
        path.write_bytes(path.read_bytes()[:-10])


@pytest.mark.parametrize(
    ("best", "mend"),
    [(True, "cp {0}/checkpoint_best.pt {1}"), (False, "rm {1}"), (None, "rm {1}")],
)
def test_the_command_in_the_message_mends_the_run(
    tmp_path: Path, best: bool | None, mend: str
) -> None:
    run, last = tmp_path, tmp_path / "checkpoint_last.pt"
    check_last(run)
    save(last, whole=False)
    if best is not None:
        save(run / "checkpoint_best.pt", best)
    mend = mend.format(run, last)
    with pytest.raises(UserError, match=f"cannot read {last} .*`{mend}`$"):
        check_last(run)
    subprocess.run(shlex.split(mend), check=True, timeout=30)
    check_last(run)


def test_train_sh_checks_the_last_checkpoint_before_training(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "fairseq-train").write_text("#!/bin/sh\necho trains\n")
    (programs / "fairseq-train").chmod(0o755)
    path = os.pathsep.join(map(str, (programs, Path(sys.executable).parent, os.environ["PATH"])))
    for whole, said in ((True, "trains\n"), (False, "")):
        save(tmp_path / "checkpoint_last.pt", whole)
        result = subprocess.run(
            ["bash", str(ROOT / "recipes/multi30k/train.sh"), "data-bin", "."],
            cwd=tmp_path,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert (result.stdout, result.returncode) == (said, 0 if whole else 1), result.stderr
    assert "rm checkpoint_last.pt`" in result.stderr and "Traceback" not in result.stderr
