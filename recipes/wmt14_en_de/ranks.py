"""Check that a script of recipes/launch/ starts as many ranks as the budget is made for.

The scripts read that number from environment variables, the script of Slurm from flags of sbatch.
In `env NAME=VALUE SCRIPT` the variables before the script count.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import shlex
from pathlib import Path
from typing import Mapping, Sequence

from preprocess.text import UserError
from recipes.common.data import ROOT
from recipes.common.steps import environment

# Script -> the variable with its number of ranks on this machine
ONE_NODE = "one_node.sh"
ONE_MACHINE = {ONE_NODE: "GPUS", "cpu_gloo.sh": "RANKS"}
SEVERAL = ("NNODES", "GPUS")  # of torchrun.sh and scripts made from it: the ranks are their product


def launcher(text: str) -> list[str]:
    """Split --launch into words.

    Raises:
        UserError: the text has no word, or a quote without an end
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UserError(
            f"--launch is {text} ({error}); expected a command: end its quotes"
        ) from error
    if not words:
        raise UserError("--launch is empty; expected a script: see `ls recipes/launch`")
    return words


def told(launch: Sequence[str]) -> int | None:
    """Return the number of ranks that the environment gives to the launcher, or None.

    Raises:
        UserError: a value is no number
    """
    if _is_slurm(launch):
        return None
    script = Path(launch[-1]).name
    names = [ONE_MACHINE[script]] if script in ONE_MACHINE else SEVERAL
    values = {**os.environ, **_assigned(launch)}
    if not all(values.get(name) for name in names):
        return None
    return math.prod(_number(name, values[name]) for name in names)


def variables(launch: Sequence[str], gpus: int) -> dict[str, str]:
    """Return the environment in which the launcher starts `gpus` ranks.

    Raises:
        UserError: the launcher would start another number than the budget is made for
    """
    found = environment()
    assigned = _assigned(launch)
    script = Path(launch[-1]).name
    if _is_slurm(launch):
        nodes, tasks = _slurm(launch)
        _agree(f"sbatch starts {nodes} nodes x {tasks} ranks, which", nodes * tasks, gpus)
    elif script in ONE_MACHINE:
        name = ONE_MACHINE[script]
        if name in assigned:  # env sets it later
            _agree(f"{name}={assigned[name]}", _number(name, assigned[name]), gpus)
        found[name] = str(gpus)
    else:
        values = {**found, **assigned}
        given = " ".join(f"{name}={values.get(name)}" for name in SEVERAL)
        _agree(given, told(launch), gpus)
    return found


def check_visible(launch: Sequence[str], gpus: int, divided: int) -> None:
    """Refuse more ranks than visible GPUs for the launcher of one machine.

    Other launchers may start their ranks on other machines, so they are not checked.

    Args:
        launch: words of --launch
        gpus: number of ranks
        divided: number that a smaller number of ranks has to divide

    Raises:
        UserError: too few GPUs are visible
    """
    import torch

    if Path(launch[-1]).name != ONE_NODE:
        return
    visible = torch.cuda.device_count()
    if gpus <= visible:
        return
    mend = "name visible ones in CUDA_VISIBLE_DEVICES, or try the recipe with --scale tiny"
    if visible:
        fewer = next(number for number in range(visible, 0, -1) if divided % number == 0)
        mend = f"give --gpus {fewer}, which accumulates more batches"
    raise UserError(f"found {visible} GPUs (torch.cuda); expected {gpus}, one for a rank: {mend}")


def _agree(given: str, ranks: int | None, gpus: int) -> None:
    if ranks not in (None, gpus):
        raise UserError(
            f"{given} are not --gpus {gpus} in all; expected the number of all ranks: give "
            f"--gpus {ranks}, or change the launch"
        )


def _is_slurm(launch: Sequence[str]) -> bool:
    return any(Path(word).name == "sbatch" for word in launch)


def _assigned(launch: Sequence[str]) -> Mapping[str, str]:
    """Variables that `env NAME=VALUE` sets for the script."""
    if Path(launch[0]).name != "env":
        return {}
    pairs = (word.partition("=") for word in launch[1:-1])
    return {name: value for name, equals, value in pairs if equals and name.isidentifier()}


def _slurm(launch: Sequence[str]) -> tuple[int, int]:
    """Return nodes and ranks of a node, from the flags of sbatch or else the script's header."""
    script = ROOT / launch[-1]
    if not script.is_file():
        raise UserError(f"found no {launch[-1]}; expected a batch script: see `ls recipes/launch`")
    lines = re.findall(r"^#SBATCH\s+(.+)$", script.read_text(encoding="utf-8"), re.M)
    header = shlex.split("\n".join(lines), comments=True)
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-N", "--nodes", default="1")
    parser.add_argument("--ntasks-per-node", default="1")
    options = parser.parse_known_args([*header, *launch[:-1]])[0]
    nodes = _number("--nodes of sbatch", options.nodes)
    return nodes, _number("--ntasks-per-node of sbatch", options.ntasks_per_node)


def _number(name: str, text: str) -> int:
    if not re.fullmatch(r"0*[1-9][0-9]{0,5}", text.strip()):
        raise UserError(f"{name} is {text}; expected a number of 1 or more: change it")
    return int(text)
