"""A batch sampler that learns which items are worth a forward pass."""

from __future__ import annotations

import dataclasses
from typing import Any, Iterator

import torch

from ..core.batching import BatchLimits
from ..core.protocol import PlanSpec
from ..errors import AutoAssistError
from .checks import checked_ids, checked_losses
from .epochs import PASS, PLAIN, check_epoch, pass_length, plain_length
from .group import rank_and_world_size
from .problem import Run, make_spec, whole
from .saving import check_state, header_of
from .session import Session


class AutoAssist(torch.utils.data.Sampler):
    """Batches of the items worth training on, for ``DataLoader(..., batch_sampler=...)``.

    The method is Algorithm 1 of Zhang, Yu, Dhillon, NeurIPS 2019, or another strategy. Make one on
    each rank after torch.distributed is initialised: the ranks get disjoint batches, equally many
    on each.

    Args:
        features: rows by item id, one for each index of the data set. An array or tensor
            (items, ...) or a CSR matrix (items, dimensions) is copied, gets a constant, and is
            scaled to a mean square norm of 1. The path of a ``.npy`` file or of a folder of TF-IDF
            features is read as it is, and so is an opener. The number of items is enough for a
            strategy that reads no features.
        batch_size: items of a batch, on each rank
        seed: seed of the order of items and of the coins
        strategy: a name from docs/strategies.md
        prior: numbers in [0, 1], shape (items,), or None; the keep probability of an item is
            multiplied by its number
        difficulty: numbers, shape (items,), for the strategy 'competence' and ``competence=True``
        drop_last: make no batch smaller than ``batch_size``; the last items of a pass begin the
            next pass, and no item is lost
        epoch: batches of an epoch on each rank. 'plain' is as many as plain training has, and
            'pass' those of one pass over the data. It may be a number
        max_batches: batches of each rank in the whole run, for strategies that need its length;
            0: not known
        max_passes: passes over the data in the whole run, likewise; 0: not known
        lag: batches that the loader may take ahead of the reports
        options: options of the strategies, by the names in docs/options.md (``floor=0.5``)

    Raises:
        AutoAssistError: an argument is wrong; the message names it and what was expected
    """

    def __init__(
        self,
        features: Any,
        batch_size: int,
        seed: int = 1,
        strategy: str = "autoassist",
        prior: Any = None,
        difficulty: Any = None,
        drop_last: bool = False,
        epoch: int | str = PLAIN,
        max_batches: int = 0,
        max_passes: float = 0.0,
        lag: int = 32,
        **options: Any,
    ) -> None:
        check_epoch(epoch)
        epoch = epoch if isinstance(epoch, str) else int(epoch)
        limits = BatchLimits(max_items=whole(batch_size, "batch_size", 1))
        run = Run.checked(max_batches, max_passes, lag)
        seed, drop_last = whole(seed, "seed"), bool(drop_last)
        options = {"strategy": strategy, **options}
        self._alone = make_spec(features, limits, seed, prior, difficulty, run, options, drop_last)
        self._drop_last, self._kind = drop_last, epoch
        self._session: Session | None = None
        self._closed, self._at_close = False, 0
        self._reader: object | None = None
        self._epoch, self._begun, self._length = 0, 0, 0
        self._resumed = False  # in the middle of an epoch

    # -- for the loader ---------------------------------------------------------------------------

    def __len__(self) -> int:
        """Number of batches of the current epoch on this rank.

        Before the first batch of the run: the number given as ``epoch``, or else that of plain
        training. Before the first batch of a later epoch: that of the epoch before.
        """
        return self._length or self._plain

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the ids of each batch of an epoch, or of the rest of a resumed epoch.

        Batches that were handed out before and not reported come first.

        Raises:
            AutoAssistError: the loader runs too far ahead, two loops read at once, or the Assistant
                failed and ``on_failure`` is 'stop'
        """
        left = self._begin()  # at the first batch: loaders also make iterators that they never use
        reader = self._reader = object()
        for _ in range(left):
            if self._reader is not reader:
                raise AutoAssistError(
                    "two loops read from one AutoAssist at once: make one for each loader"
                )
            yield self._open().next_batch().ids.tolist()

    # -- for the loop -----------------------------------------------------------------------------

    def report(self, ids: Any, losses: Any) -> None:
        """Report the losses of a batch, once for each batch, in the order of the batches.

        The call does not wait for a device: losses and ids on a device are read when they have
        arrived.

        Args:
            ids: ids of the batch from `WithIds`, integers (B,)
            losses: losses of the items before any mean, floats (B,) of any precision, in the order
                of the ids

        Raises:
            ReportError: ids or losses are wrong; the message says what to change in the loop. With
                ids on a device a later call may raise it.
        """
        ids = checked_ids(ids)
        self._open().report(ids, checked_losses(losses, len(ids)))

    def weights(self, ids: Any) -> torch.Tensor:
        """Weight of each item's loss: float32 (B,), on the device of the ids.

        It is 1 if the strategy has no weights. With ids on a device the call waits for it.

        Args:
            ids: ids of a batch, before or soon after its report, integers (B,)

        Raises:
            ReportError: no batch has these ids
        """
        return self._open().weights(checked_ids(ids))

    @property
    def epoch(self) -> int:
        """Number of the current epoch, from 0; of the next one once all its batches are
        reported."""
        done = self._length and self._trained - self._begun >= self._length
        return self._epoch + bool(done)

    @property
    def batch(self) -> int:
        """Number of batches of the current epoch that are reported."""
        done = self._trained - self._begun
        return 0 if done >= self._length else done

    @property
    def metrics(self) -> dict[str, float]:
        """Metrics of this rank at the last batch reported; empty before the first report.

        - ``keep``: share of the considered items that were kept lately
        - ``skipped``: share of all considered items that were skipped
        - ``pass``: position in the passes over the data
        - ``considered``, ``kept``: numbers of items
        - ``wait``: seconds waited for planning
        - those of the strategy, by their names in docs/metrics.md without ``aa_``
        """
        session = self._open()
        session.flush()
        if session.position is None:
            return {}
        (passes, keep_rate, totals), own = session.position
        return {
            "keep": keep_rate,
            "skipped": 1.0 - totals.kept / max(totals.considered, 1),
            "pass": passes,
            "considered": float(totals.considered),
            "kept": float(totals.kept),
            "wait": session.waited,
            **own,
        }

    def state_dict(self) -> dict[str, Any]:
        """Make the state of this rank for a checkpoint: tensors and plain Python.

        Save it with the model after a report, in the middle of an epoch too. Later reports of
        batches that the loader already has are added to the state. So copy it (`copy.deepcopy`) if
        it is not saved at once.
        """
        session = self._open()
        return session.state(
            {
                **header_of(session.spec, self._drop_last),
                "rank": session.spec.rank,
                "world_size": session.spec.world_size,
                "epoch": [self._epoch, self._begun, self._length],
            }
        )

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from a state: the next loop gets the rest of the epoch in which it was saved.

        Args:
            state: from `state_dict` on the same rank

        Raises:
            AutoAssistError: the state belongs to another run or rank; the message names the
                difference
        """
        spec = self._of_this_rank()
        check_state(state, spec, self._drop_last)
        self.close()
        self._reader = None
        self._session = Session(spec, state)
        self._closed = False
        self._epoch, self._begun, self._length = state["epoch"]
        self._resumed = 0 < self.batch

    def close(self) -> None:
        """End the Assistant's process, which else ends with this object or with the program.

        `epoch`, `batch` and the length keep their values. All else raises AutoAssistError then,
        until `load_state_dict` resumes a run. A second call does nothing.
        """
        if self._session is not None:
            self._session.close()
            self._at_close, self._session = self._session.reported, None
        self._closed = True

    # -- inside -----------------------------------------------------------------------------------

    @property
    def _plain(self) -> int:
        if isinstance(self._kind, int):
            return self._kind
        return plain_length(self._alone, rank_and_world_size()[1], self._drop_last)

    @property
    def _trained(self) -> int:
        return self._at_close if self._session is None else self._session.reported

    def _of_this_rank(self) -> PlanSpec:
        rank, world_size = rank_and_world_size()
        return dataclasses.replace(self._alone, rank=rank, world_size=world_size)

    def _open(self) -> Session:
        if self._closed:
            raise AutoAssistError(
                "found a closed AutoAssist, expected an open one: read its metrics and its "
                "state_dict() before close(), or resume from a state by load_state_dict(state)"
            )
        if self._session is None:
            self._session = Session(self._of_this_rank())
        spec = self._session.spec
        rank, world_size = rank_and_world_size()
        if (rank, world_size) != (spec.rank, spec.world_size):
            raise AutoAssistError(
                f"AutoAssist began as rank {spec.rank} of {spec.world_size}, found rank {rank} of "
                f"{world_size} now: use it between init_process_group and destroy_process_group"
            )
        return self._session

    def _begin(self) -> int:
        """Begin an epoch, or continue a resumed one; return the number of its batches left."""
        session = self._open()
        session.take_back()
        if self._resumed:
            self._resumed = False
            return self._length - self.batch
        self._epoch += self._length > 0 and session.trained > self._begun
        self._begun, self._length = session.trained, self._plain
        if self._kind == PASS:
            progress = None if session.position is None else session.position.progress
            self._length = pass_length(session.spec, progress, self._plain)
        return self._length
