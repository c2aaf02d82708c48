"""Start of a run, with the real task, iterator and worker process but no model.

``python -m benchmarks.bench_scale_child DATA_BIN TASK BATCHES`` prints one line of JSON.
"""

from __future__ import annotations

import dataclasses
import io
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from fairseq import options, tasks, utils
from fairseq.dataclass.utils import convert_namespace_to_omegaconf

ROOT = Path(__file__).resolve().parents[1]
MAX_POSITIONS = (1024, 1024)  # of fairseq's Transformers
RANKS = 8


def main(data_bin: str, task_name: str, batches: int) -> dict[str, float]:
    """Load the data, then time what comes before the first batch.

    Args:
        data_bin: with features
        task_name: translation_autoassist, or translation for fairseq's own figures
        batches: taken before the size of the state is measured; 0: measure no state

    Returns:
        seconds by step, and bytes of the state
    """
    words = [data_bin, "--user-dir", str(ROOT / "fairseq_autoassist"), "--task", task_name]
    words += ["--source-lang", "en", "--target-lang", "de", "--arch", "transformer", "--cpu"]
    words += ["--max-tokens", "4096", "--optimizer", "adam", "--max-update", "100000"]
    parser = options.get_training_parser()
    cfg = convert_namespace_to_omegaconf(options.parse_args_and_arch(parser, words))
    task = tasks.setup_task(cfg.task)
    times = [time.perf_counter()]
    task.load_dataset("train")
    times.append(time.perf_counter())
    iterator = task.get_batch_iterator(
        dataset=task.dataset("train"),
        max_tokens=cfg.dataset.max_tokens,
        max_sentences=cfg.dataset.batch_size,
        max_positions=utils.resolve_max_positions(
            task.max_positions(), MAX_POSITIONS, cfg.dataset.max_tokens
        ),
        ignore_invalid_inputs=True,
        required_batch_size_multiple=cfg.dataset.required_batch_size_multiple,
        seed=cfg.common.seed,
        num_workers=cfg.dataset.num_workers,
        epoch=1,
        data_buffer_size=cfg.dataset.data_buffer_size,
        skip_remainder_batch=cfg.optimization.skip_remainder_batch,
        grouped_shuffling=cfg.dataset.grouped_shuffling,
        update_epoch_batch_itr=cfg.dataset.update_epoch_batch_itr,
    )
    times.append(time.perf_counter())
    epoch = iterator.next_epoch_itr(shuffle=True, fix_batches_to_gpus=False)
    times.append(time.perf_counter())
    sample = next(epoch)
    times.append(time.perf_counter())
    names = ("load", "get_batch_iterator", "next_epoch_itr", "first_batch")
    figures = {name: b - a for name, a, b in zip(names, times, times[1:])}
    figures["start"] = times[-1] - times[1]
    if batches:
        figures.update(_states(iterator, epoch, sample, batches))
    return figures


def _states(iterator: Any, epoch: Any, sample: Any, batches: int) -> dict[str, float]:
    """Bytes that the plugin adds to a checkpoint, by part, once the buckets are full."""
    from fairseq_autoassist.core.worker.client import Exchange
    from fairseq_autoassist.plugin.criterions import PLAN
    from fairseq_autoassist.tensors import to_checkpoint

    from .bench_scale_plan import planted_losses

    losses = planted_losses(iterator.spec.features.open())
    for _ in range(batches):
        batch = iterator.session.trained(sample[PLAN]["number"])
        iterator.session.exchange.report(batch.number, losses(batch.ids))
        sample = next(epoch)
    state = iterator.state_dict()
    without = {key: value for key, value in state.items() if key != "autoassist"}
    planner = iterator.session.exchange.state_dict()["planner"]
    figures = {
        "growth": _saved_bytes(state) - _saved_bytes(without),
        "open_pairs": len(planner["buckets"]["kept"]),
        "weights": planner["strategy"]["assistant"]["direction"].nbytes,
    }
    iterator.park()
    of_many = Exchange(dataclasses.replace(iterator.spec, rank=0, world_size=RANKS))
    for _ in range(batches):
        batch = of_many.next_batch()
        of_many.report(batch.number, losses(batch.ids))
    return {**figures, "growth_of_many": RANKS * _saved_bytes(to_checkpoint(of_many.state_dict()))}


def _saved_bytes(state: Any) -> int:
    stream = io.BytesIO()
    torch.save(state, stream)
    return stream.tell()


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
