"""Read fairseq's checkpoints; a checkpoint that was cut short is refused in one line.

    python -m recipes.common.checkpoints --run RUN_FOLDER

This command checks the checkpoint from which a run would resume.
"""

from __future__ import annotations

import argparse
import inspect
import pickle
import shlex
import zipfile
from pathlib import Path
from typing import Any, Callable, TypeVar

from preprocess.text import UserError

Found = TypeVar("Found")


def load(path: Path, mend: str) -> dict[str, Any]:
    """Return a checkpoint's state on the CPU, converted by fairseq to its current form.

    Args:
        path: path of the checkpoint
        mend: advice to the user if the file is damaged

    Raises:
        UserError: the file is damaged, or no checkpoint
    """
    from fairseq import checkpoint_utils

    def read() -> dict[str, Any]:
        state = checkpoint_utils.load_checkpoint_to_cpu(str(path))
        state["model"]
        return state

    return _refused(read, path, mend)


def updates_done(path: Path, mend: str) -> int:
    """Return the number of updates of a checkpoint without reading its tensors.

    Args:
        path: path of the checkpoint
        mend: advice to the user if the file is damaged

    Raises:
        UserError: the file is damaged, or no checkpoint
    """
    import torch

    def read() -> int:
        # torch before 2.1 cannot map a file, and reads all of it
        able = "mmap" in inspect.signature(torch.load).parameters and zipfile.is_zipfile(path)
        state = torch.load(str(path), map_location="cpu", **({"mmap": True} if able else {}))
        return int(state["optimizer_history"][-1]["num_updates"])

    return _refused(read, path, mend)


def check_last(run: Path) -> None:
    """Refuse a damaged last checkpoint, which a kill during fairseq's copy can leave.

    Raises:
        UserError: the checkpoint is damaged
    """
    last, best = run / "checkpoint_last.pt", run / "checkpoint_best.pt"
    if not last.is_file() or _whole(last):
        return
    mend = f"start again with `{shlex.join(['rm', str(last)])}`"
    if best.is_file() and _whole(best):
        mend = f"resume from the best with `{shlex.join(['cp', str(best), str(last)])}`"
    updates_done(last, mend)


def _whole(path: Path) -> bool:
    try:
        updates_done(path, "")
    except UserError:
        return False
    return True


def _refused(read: Callable[[], Found], path: Path, mend: str) -> Found:
    """Turn the errors of torch, pickle and fairseq for a bad file into one line."""
    from fairseq_autoassist.plugin.checkpoints import allow_fairseq_checkpoints

    allow_fairseq_checkpoints()
    try:
        return read()
    except (
        *(OSError, EOFError, RuntimeError, pickle.UnpicklingError),
        *(LookupError, TypeError, ValueError, AttributeError),
    ) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0].split(". ")[0]
        raise UserError(
            f"cannot read {path} ({reason}); expected a whole checkpoint of fairseq-train: {mend}"
        ) from error


def main(arguments: list[str] | None = None) -> None:
    """Check that the last checkpoint of a run can be read."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run", type=Path, required=True, help="folder of the training run")
    check_last(parser.parse_args(arguments).run)


if __name__ == "__main__":
    main()
