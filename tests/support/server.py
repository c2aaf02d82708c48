"""Server process that has imported fairseq, to fork runs from: the import takes seconds."""

from __future__ import annotations

import functools
import multiprocessing

_PROGRAMS = ["fairseq_cli.train", "fairseq_cli.hydra_train", "fairseq_cli.preprocess"]
# torch imports it with the first optimizer, which takes 1.5 seconds of every run.
_LATE = ["torch._dynamo"]


@functools.lru_cache(maxsize=None)
def server() -> multiprocessing.context.ForkServerContext:
    """Context that forks processes from the server, which starts with the first of them."""
    context = multiprocessing.get_context("forkserver")
    # where there is a GPU, nothing is imported that might touch it: see `training.gpu_context`
    context.set_forkserver_preload(_PROGRAMS + ([] if has_gpu() else _LATE))
    return context


def has_gpu() -> bool:
    """Whether torch finds a GPU."""
    import torch

    return torch.cuda.is_available()
