"""fairseq's epoch iterator over the endless stream."""

from __future__ import annotations

import dataclasses
import logging
import os
from typing import Any

import torch
from fairseq.data.iterators import BufferedIterator, CountingIterator, EpochBatchIterating

from ..core.progress import Progress
from ..core.protocol import PlanSpec
from ..core.wholepass import plans_whole_passes
from ..core.worker.client import lag_for
from .dataset import EpochSampler, PlannedDataset
from .epochs import epoch_length, stock_iterations
from .ranks import Ranks
from .session import Session
from .shards import Shards

logger = logging.getLogger(__name__)


def prefetched_batches(num_workers: int, buffer_size: int) -> int:
    """Number of batches that fairseq's loader takes ahead of training.

    These are two for each worker, the buffer, and one that the buffer's thread holds.
    """
    return 2 * num_workers + (buffer_size + 1 if buffer_size > 0 else 0)


@dataclasses.dataclass(frozen=True)
class Loader:
    """Settings of fairseq's loader.

    Attributes:
        num_workers: --num-workers
        buffer_size: --data-buffer-size
        update_freq: --update-freq by epoch
        skip_remainder: --skip-remainder-batch, which leaves out a short last update of an epoch
    """

    num_workers: int
    buffer_size: int
    update_freq: tuple[int, ...]
    skip_remainder: bool = False

    @property
    def lag(self) -> int:
        """Lag that planning for this loader needs (micro-batches)."""
        # losses are reported when an update ends, and an overflow ends none: two updates
        prefetched = prefetched_batches(self.num_workers, self.buffer_size)
        return lag_for(prefetched, 2 * max(self.update_freq))

    def update_freq_of(self, epoch: int) -> int:
        """Micro-batches to an update in an epoch; the last one given stays in force."""
        return self.update_freq[min(epoch, len(self.update_freq)) - 1]


class AutoAssistEpochIterator(EpochBatchIterating):
    """Cuts the stream into epochs of about one pass, whose length is fixed when they start.

    Args:
        dataset: a FairseqDataset
        spec: what to plan from
        epoch: number of the first epoch
        loader: settings of the loader
        shards: states of the streams of all data-bins
        ranks: the data-parallel group
    """

    def __init__(
        self,
        dataset: Any,
        spec: PlanSpec,
        epoch: int,
        loader: Loader,
        shards: Shards,
        ranks: Ranks,
    ) -> None:
        self.dataset = dataset
        self.spec = spec
        self.epoch = max(epoch, 1)
        self.loader_settings, self.shards, self.ranks = loader, shards, ranks
        self.shuffle = True
        self.session: Session | None = None  # opened with the first epoch or state
        self._sampler: EpochSampler | None = None
        self._loader: Any = None
        self._current: CountingIterator | None = None
        self._resumed: dict[str, int] | None = None
        self._gathered: list[Any] | None = None

    # -- what fairseq asks for --------------------------------------------------------------------

    @property
    def first_batch(self) -> dict[str, Any]:
        """Sample for fairseq's dummy batches; it has no plan, so it is never reported."""
        eligible = self.spec.items.eligible
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
        """Give the micro-batches of the next epoch, or of the rest of a resumed one.

        This is a collective, since all ranks agree on their number.

        Raises:
            AutoAssistError: a setting is wrong; the message names it
        """
        self.epoch = self.next_epoch_idx
        self.shuffle = shuffle
        if set_dataset_epoch and hasattr(self.dataset, "set_epoch"):
            self.dataset.set_epoch(self.epoch)
        offset, length = 0, 0
        if self._resumed is not None:
            offset, length = self._resumed["offset"], self._resumed["length"]
            self._resumed = None
        if not length:
            length = self._agreed_length(self._open().progress)
        self._current = self._iterate(offset, length)
        logger.info(f"epoch {self.epoch}: {length} micro-batches planned, starting at {offset}")
        return self._current

    def end_of_epoch(self) -> bool:
        """Tell whether the current epoch is over."""
        return self._current is not None and not self._current.has_next()

    @property
    def iterations_in_epoch(self) -> int:
        """Micro-batches trained on in the current epoch."""
        return 0 if self._current is None else self._current.n

    @property
    def n(self) -> int:
        """Same as `iterations_in_epoch`, under another name that fairseq uses."""
        return self.iterations_in_epoch

    def gather_states(self) -> None:
        """Gather the states of all ranks, for the `state_dict` that follows; a collective."""
        self._gathered = self.ranks.gather(self._own_state())

    def forget_states(self) -> None:
        """Drop the states of other ranks after saving."""
        self._gathered = None

    def state_dict(self) -> dict[str, Any]:
        """Keys of fairseq, from which its own task can resume, and the plugin's state beside them.

        Raises:
            RuntimeError: there are several ranks and `gather_states` was not called on all
        """
        if self._gathered is None and self.ranks.world_size > 1:
            raise RuntimeError("the ranks' states were not gathered before saving")
        states, self._gathered = self._gathered or [self._own_state()], None
        over = self.end_of_epoch()
        offset = 0 if over else self.iterations_in_epoch
        length = 0 if over or self._current is None else self._current.total
        return {
            "version": 2,
            "epoch": self.epoch + 1 if over else self.epoch,
            "iterations_in_epoch": stock_iterations(self.spec, offset, length),
            "shuffle": self.shuffle,
            "autoassist": self.shards.saved(self.spec, offset, length, states),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Resume from a saved state; one of fairseq's own task starts a new pass.

        Raises:
            AutoAssistError: the state is of another run, or a setting is wrong; the message tells
                the difference
        """
        self.epoch = state_dict["epoch"]
        mine = state_dict.get("autoassist")
        if mine is None:
            self.shards.epochs_before, self.shards.began_elsewhere = self.epoch - 1, True
            logger.warning(
                "the checkpoint has no AutoAssist state: the model goes on, the Assistant starts "
                "untrained, and the stream with a new pass"
            )
            return
        update_freq = self.loader_settings.update_freq_of(self.epoch)
        unit = self._unit()
        self._resumed = self.shards.load(mine, self.spec, self.ranks, update_freq, unit)
        self._open()

    def park(self) -> None:
        """Remember the state of this stream for the next epoch of its data-bin, and end it."""
        if self.session is not None:
            self._own_state()
            self.shards.failed |= self.session.exchange.failure is not None
            self.session.close()
            self.session = None
        self._loader = self._current = None  # its workers end when fairseq drops it too

    # -- inside -----------------------------------------------------------------------------------

    def _own_state(self) -> Any:
        session = self.session
        state, progress = (
            (None, None) if session is None else (session.state_dict(), session.progress)
        )
        return self.shards.own(state, progress, self.spec)

    def _open(self) -> Session:
        if self.session is None:
            state, progress = self.shards.here(self.spec)
            spec = dataclasses.replace(
                self.spec,
                updates_before=self.shards.updates_before,
                passes_before=self.shards.epochs_before + self.shards.passes_elsewhere,
                abandoned=self.shards.failed,
            )
            self.session = Session.open(spec, state, progress)
        return self.session

    def _unit(self) -> int:
        """Number of micro-batches of which the length of an epoch is a multiple.

        A whole pass may end in the middle of an update, as in plain fairseq.
        """
        settings = self.loader_settings
        if plans_whole_passes(self.spec) and not settings.skip_remainder:
            return 1
        return settings.update_freq_of(self.epoch)

    def _agreed_length(self, progress: Progress | None) -> int:
        keep_rate = self.shards.keep_rate(self.spec)
        return epoch_length(self.spec, progress, self._unit(), keep_rate, self.ranks.mean)

    def _iterate(self, offset: int, length: int) -> CountingIterator:
        settings = self.loader_settings
        if self._sampler is None:
            self._sampler = EpochSampler(self._open().next_batch)
        self._sampler.length = length - offset
        if self._loader is None:
            if settings.num_workers > 0:
                os.environ["PYTHONWARNINGS"] = "ignore:semaphore_tracker:UserWarning"
            self._loader = torch.utils.data.DataLoader(
                PlannedDataset(self.dataset),
                batch_sampler=self._sampler,
                collate_fn=PlannedDataset.collate,
                num_workers=settings.num_workers,
                pin_memory=torch.cuda.is_available(),
                persistent_workers=settings.num_workers > 0,
            )
        batches = self._loader
        if settings.buffer_size > 0:
            batches = BufferedIterator(settings.buffer_size, batches)
        return CountingIterator(batches, start=offset)
