"""Average the last checkpoints of a run, as fairseq's scripts/average_checkpoints.py does.

fairseq's packages leave that script out.

    python -m recipes.common.average --run RUN_FOLDER --last 10
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any, Sequence

from tqdm import tqdm

from preprocess.text import UserError, exit_on_signals, whole_file
from recipes.common.checkpoints import load

AVERAGED = "averaged.pt"
SAVED_BY_UPDATES = r"checkpoint_\d+_(\d+)\.pt"


def last_checkpoints(run: Path, last: int) -> list[Path]:
    """Return the `last` latest checkpoints that --save-interval-updates wrote, latest first.

    Raises:
        UserError: the folder is missing, or holds too few checkpoints
    """
    from fairseq import checkpoint_utils

    if last < 1:
        raise UserError(f"--last is {last}; expected 1 or more")
    if not run.is_dir():
        raise UserError(f"found no folder {run}; expected the folder of a training run")
    found = checkpoint_utils.checkpoint_paths(str(run), pattern=SAVED_BY_UPDATES)
    if len(found) < last:
        raise UserError(
            f"{run} holds {len(found)} checkpoints saved by updates; expected {last}: train on, "
            f"with --save-interval-updates and --keep-interval-updates, or name a smaller --last"
        )
    return [Path(path) for path in found[:last]]


def average(paths: Sequence[Path], output: Path) -> None:
    """Write a checkpoint whose weights are the means of those of `paths`, for generation only.

    Sums are in double precision. The states of the optimiser and of the Assistant are left out,
    since a run cannot resume from a mean.

    Raises:
        UserError: a checkpoint is damaged, the models differ, or the disk is full
    """
    import torch

    state = _load(paths[0])
    sums = {name: tensor.double() for name, tensor in state["model"].items()}
    for path in tqdm(paths[1:], desc="average", unit=" checkpoints"):
        weights = _load(path)["model"]
        different = [n for n in sums if n not in weights or weights[n].shape != sums[n].shape]
        if different or len(weights) != len(sums):
            raise UserError(
                f"{path} and {paths[0]} are of different models (at "
                f"{(different or ['the number of weights'])[0]}); expected checkpoints of one run"
            )
        for name, tensor in weights.items():
            sums[name] += tensor.double()
    for name, tensor in state["model"].items():
        if tensor.is_floating_point():
            # half precision has too few digits for a mean of near values
            kind = (
                torch.float32 if tensor.dtype in (torch.float16, torch.bfloat16) else tensor.dtype
            )
            state["model"][name] = (sums[name] / len(paths)).to(kind)
    state["last_optimizer_state"] = None
    state["extra_state"].pop("train_iterator", None)
    with whole_file(output) as part:
        try:
            with open(part, "wb") as stream:  # torch writes a path into the file
                torch.save(state, stream)
        except RuntimeError as error:  # torch raises this for a full disk
            reason = str(error).splitlines()[0]
            raise UserError(
                f"cannot write {output} ({reason}); expected room on its disk: free some, and run "
                f"this again"
            ) from error


def _load(path: Path) -> dict[str, Any]:
    return load(
        path, f"remove it (`rm {shlex.quote(str(path))}`) and name a smaller --last, or train on"
    )


def main(arguments: list[str] | None = None) -> None:
    """Write the averaged checkpoint into the folder of the run; print its path."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run", type=Path, required=True, help="folder of the training run")
    parser.add_argument("--last", type=int, default=10, help="checkpoints (default: %(default)s)")
    options = parser.parse_args(arguments)
    paths = last_checkpoints(options.run, options.last)
    print("averaging " + ", ".join(path.name for path in paths), flush=True)
    average(paths, options.run / AVERAGED)
    print(options.run / AVERAGED)


if __name__ == "__main__":
    exit_on_signals()
    main()
