"""Rank without model and fairseq: an Assistant's process and its client."""

from __future__ import annotations

import contextlib
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple, Sequence

import numpy as np

from fairseq_autoassist.config import AutoAssistConfig
from fairseq_autoassist.core.batching import BatchLimits
from fairseq_autoassist.core.protocol import PlanSpec
from fairseq_autoassist.core.worker.process import ProcessExchange
from fairseq_autoassist.features.store import StoredFeatures
from fairseq_autoassist.text.lengths import pair_items

LAG = 32
MAX_TOKENS = 4096
# shrinking starts at once, without the guard
RANDOM_LOSSES = AutoAssistConfig(gamma_decay=0.5, guard_pairs=0)


class RankFigures(NamedTuple):
    """Figures of one rank: CPU seconds per micro-batch, and bytes of memory."""

    worker: float  # the Assistant's process
    taking: float  # the call that takes a batch
    reporting: float  # the call that reports losses
    private: int  # both processes; no other process shares it
    private_worker: int  # of that, the Assistant's process
    peak_worker: int  # peak of the Assistant's process, without mapped files


def sizes(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Source and target sizes as in WMT: 28 tokens on average, int32."""
    rng = np.random.default_rng(6)
    source = np.clip(rng.gamma(3.0, 28 / 3.0, rows), 2, 200).astype(np.int32)
    return source, np.clip(source * rng.normal(1.0, 0.15, rows), 2, 250).astype(np.int32)


def make_spec(
    features: str | None,
    lengths: Sequence[np.ndarray],
    rank: int = 0,
    world_size: int = 1,
    eligible: np.ndarray | None = None,
    config: AutoAssistConfig = RANDOM_LOSSES,
) -> PlanSpec:
    """Specification that a rank plans from, as the task makes it."""
    limits = BatchLimits(max_size=MAX_TOKENS, multiple=8)
    return PlanSpec(
        config=config,
        items=pair_items(lengths[0], lengths[1], limits, eligible, world_size),
        limits=limits,
        seed=1,
        lag=LAG,
        features=None if features is None else StoredFeatures(features),
        rank=rank,
        world_size=world_size,
    )


def main(turns: Connection, folder: str, rank: int, world_size: int, longer: bool) -> None:
    """Plan a pass of one rank at each message, then send its figures."""
    lengths = np.load(Path(folder) / "sizes.npy", mmap_mode="r")  # as fairseq maps its index
    eligible = np.load(Path(folder) / "eligible.npy") if longer else None
    exchange = ProcessExchange(make_spec(folder, lengths, rank, world_size, eligible))
    losses = np.random.default_rng(4).gamma(4.0, 0.5, 1 << 16).astype(np.float32)
    peaks = [0]
    threading.Thread(target=_watch, args=(exchange.pid, peaks), daemon=True).start()
    with contextlib.closing(exchange):
        while True:
            turns.recv()
            calls = np.zeros(2)
            batches, until, began = 0, 0.0, cpu_seconds(exchange.pid)
            while True:
                times = [time.thread_time()]
                batch = exchange.next_batch()
                times.append(time.thread_time())
                known = losses[batch.ids % len(losses)]
                times.append(time.thread_time())
                exchange.report(batch.number, known)
                times.append(time.thread_time())
                calls += np.diff(times)[[0, 2]]
                batches += 1
                until = until or batch.passes + 1.1
                if batch.passes > until:
                    break
            time.sleep(0.5)  # the Assistant plans ahead until its lag is reached
            worker = (cpu_seconds(exchange.pid) - began) / batches
            mine, its = (private_bytes(pid, folder) for pid in ("self", exchange.pid))
            taking, reporting = calls / batches
            turns.send(RankFigures(worker, taking, reporting, mine + its, its, peaks[0]))


def private_bytes(pid: object, beside: str) -> int:
    """Bytes of a process that no other process shares, without files in the folder ``beside``."""
    total, counted = 0, True
    for text in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        key, *words = text.split()
        if not key.endswith(":"):
            counted = beside not in text
        elif counted and key in ("Private_Clean:", "Private_Dirty:"):
            total += 1024 * int(words[0])
    return total


def _watch(pid: int, peaks: list[int]) -> None:
    """Record the peak memory of a process, without mapped files."""
    with contextlib.suppress(OSError, ValueError):
        while True:
            status = Path(f"/proc/{pid}/status").read_text()
            peaks[0] = max(peaks[0], 1024 * int(status.split("RssAnon:")[1].split()[0]))
            time.sleep(0.003)


def cpu_seconds(pid: object) -> float:
    """CPU seconds of the main thread of a process."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
