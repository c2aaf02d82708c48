"""Run of fairseq-train that trains one segment of updates, then waits for its next turn.

It is a process with fairseq's own command-line entry. It adds a clock between updates and, if asked
for, replaces the batches.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from multiprocessing.connection import Connection
from typing import Any

#: target tokens trained on; wall and CPU seconds (of this process) until the next update began
Update = tuple


def main(turns: Connection, words: list[str], output: str, segment: int, planned: int) -> None:
    """Train, one segment of updates a turn.

    Args:
        turns: gets the updates of a segment, a list of `Update` (empty before the first segment);
            any answer starts the next one
        words: command line of fairseq-train
        output: file for standard output and error
        segment: updates of a turn
        planned: number of batches that the plugin plans under uniform, for fairseq's own task to
            train on; they keep their order under --curriculum 1. 0: fairseq's own batches
    """
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    multiprocessing.set_start_method(None, force=True)  # loaders start workers as usual
    from fairseq_cli import train  # before the rest of fairseq: it sets logging up

    if planned:
        _make_planned_batches(planned, int(words[words.index("--seed") + 1]))
    clock = _Clock(turns, segment)
    original = train.Trainer.train_step

    def train_step(self: Any, samples: list, raise_oom: bool = False) -> Any:
        clock.begin_update(sum(sample["ntokens"] for sample in samples))
        return original(self, samples, raise_oom)

    train.Trainer.train_step = train_step
    sys.argv = ["fairseq-train", *words]
    train.cli_main()


class _Clock:
    """Clock of updates from start to start: loading and logging are included."""

    def __init__(self, turns: Connection, segment: int) -> None:
        self._turns, self._segment = turns, segment
        self._updates: list[Update] = []
        self._tokens: int | None = None
        self._began = self._cpu_began = 0.0

    def begin_update(self, tokens: int) -> None:
        now, cpu = time.perf_counter(), time.process_time()
        if self._tokens is not None:
            self._updates.append((self._tokens, now - self._began, cpu - self._cpu_began))
        if self._tokens is None or len(self._updates) == self._segment:
            self._turns.send(self._updates)
            self._turns.recv()
            self._updates = []
            now, cpu = time.perf_counter(), time.process_time()
        self._tokens, self._began, self._cpu_began = int(tokens), now, cpu


def _make_planned_batches(count: int, seed: int) -> None:
    """Let fairseq's task train on the batches of the plugin's ``--autoassist-strategy uniform``."""
    from fairseq.data.language_pair_dataset import LanguagePairDataset

    from fairseq_autoassist.config import AutoAssistConfig
    from fairseq_autoassist.core.batching import BatchLimits
    from fairseq_autoassist.core.planner import Planner
    from fairseq_autoassist.core.protocol import PlanSpec
    from fairseq_autoassist.text.lengths import pair_items

    def batch_by_size(
        self: Any,
        indices: Any,
        max_tokens: int | None = None,
        max_sentences: int | None = None,
        required_batch_size_multiple: int = 1,
    ) -> list:
        limits = BatchLimits(max_tokens, max_sentences, required_batch_size_multiple)
        spec = PlanSpec(
            config=AutoAssistConfig(strategy="uniform"),
            items=pair_items(self.src_sizes, self.tgt_sizes, limits),
            limits=limits,
            seed=seed,
            lag=count + 1,
        )
        planner = Planner(spec)
        return [planner.plan().ids for _ in range(count)]

    LanguagePairDataset.batch_by_size = batch_by_size
