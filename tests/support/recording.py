"""Process of a run: fairseq's own command-line entry, with its training steps recorded.

fairseq and torch are imported late, since the process may be forked with them or without.
"""

from __future__ import annotations

import functools
import importlib
import itertools
import json
import logging
import multiprocessing
import os
import sys
from typing import Any

OOM_EVERY = "AUTOASSIST_TEST_OOM_EVERY"  # one in so many training steps runs out of memory
OVERFLOW_EVERY = "AUTOASSIST_TEST_OVERFLOW_EVERY"  # one in so many updates overflows, as in fp16


def run_in_child(program: str, words: list[str], folder: str, record: bool, environ: dict) -> None:
    """Run one of fairseq's command-line entries, output and micro-batches going to a folder.

    Args:
        program: its module
        words: its arguments
        folder: gets `output` and, with ``record``, `batches.jsonl`
        record: record every training step, and make a GPU deterministic
        environ: of the test
    """
    os.environ.clear()  # the server of the fork may have another test's environment
    os.environ.update(environ)

    if "fairseq" not in sys.modules:  # not forked: leave importing the plugin to --user-dir
        for name in [name for name in sys.modules if name.startswith("fairseq_autoassist")]:
            del sys.modules[name]
    os.environ["OMP_NUM_THREADS"] = "1"
    # fairseq-train's own start method, not this server's: a loader's worker is then a child of the
    # run, and ends when the run is killed
    multiprocessing.set_start_method("fork", force=True)
    import torch

    torch.set_num_threads(1)
    _write_to(os.path.join(folder, "output"))
    module = _imported(program)
    if "pytorch_ddp" in words:
        _ddp_on_cpu()
    if record:
        _record(os.path.join(folder, "batches.jsonl"))
    if OVERFLOW_EVERY in os.environ:
        _overflow(int(os.environ[OVERFLOW_EVERY]))
    if record and "--cpu" not in words and torch.cuda.is_available():
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
        torch.use_deterministic_algorithms(True, warn_only=True)
    sys.argv = [program, *words]
    module.cli_main()


def preprocess_in_child(jobs: list[list[str]], output: str, environ: dict) -> None:
    """Run fairseq-preprocess with each of the argument lists, its output going to a file."""
    os.environ.clear()
    os.environ.update(environ)
    _write_to(output)
    module = _imported("fairseq_cli.preprocess")
    from fairseq import options

    for words in jobs:
        module.main(options.get_preprocessing_parser().parse_args(words))


def _write_to(path: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    sys.stdout = os.fdopen(1, "w", buffering=1)
    sys.stderr = os.fdopen(2, "w", buffering=1)


def _imported(program: str) -> Any:
    """Import one of fairseq's command-line entries, which logs to the current standard output."""
    module = importlib.import_module(program)  # sets logging up, unless the server has done it
    for handler in logging.getLogger().handlers:
        handler.setStream(sys.stdout)
    return module


def _ddp_on_cpu() -> None:
    """Let --ddp-backend pytorch_ddp run on CPU, where fairseq would name a GPU to it."""
    from fairseq.models import distributed_fairseq_model as module

    original = module.DistributedDataParallel
    cpu = {"device_ids": None, "output_device": None}
    module.DistributedDataParallel = lambda *words, **named: original(*words, **{**named, **cpu})


def _record(path: str) -> None:
    """Record every training step, with the pairs that the model was trained on."""
    from fairseq.tasks.fairseq_task import FairseqTask

    original, steps = FairseqTask.train_step, itertools.count(1)
    starve_every = int(os.environ.get(OOM_EVERY, 0))

    @functools.wraps(original)
    def train_step(self, sample, model, criterion, optimizer, update_num, *rest, **named):
        if starve_every and next(steps) % starve_every == 0:
            raise RuntimeError("out of memory")
        result = original(self, sample, model, criterion, optimizer, update_num, *rest, **named)
        ids = sample["id"].tolist()
        number = sample.get("autoassist", {}).get("number")  # None under fairseq's own task
        line = {"number": number, "update": update_num, "ids": ids, "loss": float(result[0])}
        with open(path, "a") as file:
            file.write(json.dumps(line) + "\n")
        return result

    FairseqTask.train_step = train_step


def _overflow(every: int) -> None:
    """Let one in so many updates overflow where --fp16 would: in the norm of its gradients."""
    import torch
    from fairseq.trainer import Trainer

    original, updates = Trainer.clip_grad_norm, itertools.count(1)

    @functools.wraps(original)
    def clip_grad_norm(self, clip_norm):
        if next(updates) % every == 0:
            raise OverflowError("made by a test")
        return original(self, clip_norm)

    Trainer.clip_grad_norm = clip_grad_norm
    torch.Tensor.cuda = lambda self: self  # fairseq moves the norm to a GPU after an overflow
