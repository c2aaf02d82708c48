"""fairseq's epoch iterator over the endless stream."""

from __future__ import annotations

import logging
import os
from typing import Any

import torch
from fairseq.data.iterators import BufferedIterator, CountingIterator, EpochBatchIterating

from ..core.exchange import Exchange, lag_for
from ..core.plan import PlannedBatch, PlanSpec
from ..core.process import ProcessExchange
from .checkpoints import check_state, from_checkpoint, state_header, to_checkpoint
from .dataset import EpochSampler, PlannedDataset
from .length import Progress, epoch_length, stock_iterations

logger = logging.getLogger(__name__)


def prefetched_batches(num_workers: int, buffer_size: int) -> int:
    """Batches that fairseq's loader takes ahead of training: two for each worker, and its buffer
    with the one that its thread holds."""
    return 2 * num_workers + (buffer_size + 1 if buffer_size > 0 else 0)


class AutoAssistEpochIterator(EpochBatchIterating):
    """Cuts the stream into epochs of a length known when they start, about one pass each.

    Args:
        dataset: a FairseqDataset
        spec: what to plan from; its lag has to suit the loader's settings, see `lag_of`
        epoch: number of the first epoch
        num_workers, buffer_size: of fairseq's loader
        update_freq: micro-batches per update, by epoch (the last one stays in force)
        flush: makes sure that all losses of finished updates are reported
    """

    def __init__(
        self,
        dataset: Any,
        spec: PlanSpec,
        epoch: int,
        num_workers: int,
        buffer_size: int,
        update_freq: list[int],
        flush: Any,
    ) -> None:
        self.dataset = dataset
        self.spec = spec
        self.epoch = max(epoch, 1)
        self.num_workers, self.buffer_size = num_workers, min(buffer_size, 20)
        self.update_freq = list(update_freq)
        self.delivered: dict[int, PlannedBatch] = {}  # handed to the loader, not yet trained on
        self._flush = flush
        self._exchange: Exchange | None = None
        self._sampler = EpochSampler(self._next_batch)
        self._loader: Any = None
        self._current: CountingIterator | None = None
        self._resumed: dict[str, Any] | None = None
        self._progress: Progress | None = None  # at the last micro-batch trained on
        self.shuffle = True

    # -- what fairseq asks for --------------------------------------------------------------------

    @property
    def first_batch(self) -> dict[str, Any]:
        """A sample for fairseq's dummy batches; it carries no plan, so it is never reported."""
        eligible = self.spec.eligible
        ids = range(min(8, len(self.dataset))) if eligible is None else eligible[:8].tolist()
        return self.dataset.collater([self.dataset[index] for index in ids])

    @property
    def next_epoch_idx(self) -> int:
        """Number of the epoch that `next_epoch_itr` gives."""
        if self._resumed is not None or self._current is None:
            return self.epoch
        return self.epoch + 1 if self.end_of_epoch() else self.epoch

    def next_epoch_itr(
        self,
        shuffle: bool = True,
        fix_batches_to_gpus: bool = False,
        set_dataset_epoch: bool = True,
    ) -> CountingIterator:
        """The micro-batches of the next epoch, or of what is left of a resumed one."""
        self.epoch = self.next_epoch_idx
        self.shuffle = shuffle
        if set_dataset_epoch and hasattr(self.dataset, "set_epoch"):
            self.dataset.set_epoch(self.epoch)
        offset, length = 0, 0
        if self._resumed is not None:
            offset, length = self._resumed["offset"], self._resumed["length"]
            self._resumed = None
        if not length:
            length = epoch_length(self.spec, self._progress, self._epoch_update_freq())
        self._current = self._iterate(offset, length)
        logger.info(f"epoch {self.epoch}: {length} micro-batches planned, starting at {offset}")
        return self._current

    def end_of_epoch(self) -> bool:
        """Whether the current epoch is over."""
        return self._current is not None and not self._current.has_next()

    @property
    def iterations_in_epoch(self) -> int:
        """Micro-batches trained on in the current epoch."""
        return 0 if self._current is None else self._current.n

    @property
    def n(self) -> int:
        """As `iterations_in_epoch`; some of fairseq asks by this name."""
        return self.iterations_in_epoch

    def state_dict(self) -> dict[str, Any]:
        """fairseq's keys, such that its own task can go on from them, and ours beside them."""
        over = self.end_of_epoch()
        offset = 0 if over else self.iterations_in_epoch
        length = 0 if over or self._current is None else self._current.total
        self._flush()
        return {
            "version": 2,
            "epoch": self.epoch + 1 if over else self.epoch,
            "iterations_in_epoch": stock_iterations(self.spec, offset, length),
            "shuffle": self.shuffle,
            "autoassist": {
                **state_header(self.spec),
                "offset": offset,
                "length": length,
                "progress": None if self._progress is None else list(self._progress),
                "ranks": [to_checkpoint(self.exchange.state_dict())],
            },
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a saved state; one without ours (saved by fairseq's task) starts a pass."""
        self.epoch = state_dict["epoch"]
        mine = state_dict.get("autoassist")
        if mine is None:
            logger.warning(
                "the checkpoint has no AutoAssist state: the model goes on, the Assistant starts "
                "untrained, and the stream with a new pass"
            )
            return
        check_state(mine, self.spec)
        self._resumed = {"offset": mine["offset"], "length": mine["length"]}
        self._progress = None if mine["progress"] is None else Progress(*mine["progress"])
        self._open(from_checkpoint(mine["ranks"][self.spec.rank]))

    # -- what the task asks for -------------------------------------------------------------------

    @property
    def exchange(self) -> Exchange:
        """Opened when it is first needed: a state may have to be loaded before."""
        if self._exchange is None:
            self._open(None)
        assert self._exchange is not None
        return self._exchange

    def trained(self, number: int) -> PlannedBatch | None:
        """The plan of a micro-batch that was trained on just now (None the second time)."""
        batch = self.delivered.pop(number, None)
        if batch is not None:
            self._progress = Progress.of(batch)
        return batch

    def close(self) -> None:
        """End the worker process."""
        if self._exchange is not None:
            self._exchange.close()

    # -- inside -----------------------------------------------------------------------------------

    def _open(self, state: dict[str, Any] | None) -> None:
        self.close()
        kind = Exchange if self.spec.config.inline else ProcessExchange
        self._exchange = kind(self.spec, state)

    def _next_batch(self) -> PlannedBatch:
        batch = self.exchange.next_batch()
        self.delivered[batch.number] = batch
        return batch

    def _epoch_update_freq(self) -> int:
        return self.update_freq[min(self.epoch, len(self.update_freq)) - 1]

    def _iterate(self, offset: int, length: int) -> CountingIterator:
        self._sampler.length = length - offset
        if self._loader is None:
            if self.num_workers > 0:
                os.environ["PYTHONWARNINGS"] = "ignore:semaphore_tracker:UserWarning"
            self._loader = torch.utils.data.DataLoader(
                PlannedDataset(self.dataset),
                batch_sampler=self._sampler,
                collate_fn=PlannedDataset.collate,
                num_workers=self.num_workers,
                pin_memory=torch.cuda.is_available(),
                persistent_workers=self.num_workers > 0,
            )
        batches = self._loader
        if self.buffer_size > 0:
            batches = BufferedIterator(self.buffer_size, batches)
        return CountingIterator(batches, start=offset)


def lag_of(num_workers: int, buffer_size: int, update_freq: list[int]) -> int:
    """The lag that this loader needs (micro-batches)."""
    return lag_for(prefetched_batches(num_workers, min(buffer_size, 20)), max(update_freq))
