"""The batch sampler that learns which items are worth a forward pass."""

from __future__ import annotations

import dataclasses
from typing import Any, Iterator

import torch

from ..core.batching import BatchLimits
from ..core.protocol import PlanSpec
from ..errors import AutoAssistError, ConfigError
from .checks import checked_ids, checked_losses
from .epochs import PASS, PLAIN, check_epoch, pass_length, plain_length
from .group import rank_and_world_size
from .problem import Run, make_spec
from .saving import check_state, header_of
from .session import Session


class AutoAssist(torch.utils.data.Sampler):
    """Batches of the items worth training on, for ``DataLoader(..., batch_sampler=...)``.

    Each rank of torch.distributed has its own, made after the group is initialised: the ranks get
    disjoint batches, as many on each.

    Args:
        features: rows by item id: an array or tensor (items, ...) or a CSR matrix, scaled here so
            that the mean square norm of a row is 1; the path of a ``.npy`` file or of a folder of
            TF-IDF features, or an opener, taken as they are; the number of items alone for a
            strategy that reads no features
        batch_size: items of a batch
        seed: of the order of items and of the coins
        strategy: see docs/strategies.md
        prior: a number in [0, 1] an item, by which its keep probability is multiplied
        difficulty: a number an item, for the strategy 'competence' and ``competence=True``
        drop_last: make no batch smaller than ``batch_size``; what is left when a pass ends begins
            the next one, and no item is lost
        epoch: batches of an epoch, of each rank: 'plain', as many as plain training has; 'pass',
            those of one pass over the data, fewer the more is skipped; or a number
        max_batches, max_passes: where the run ends, for strategies that have to know: batches of
            each rank, passes over the data
        lag: batches that the loader may take ahead of the reports
        options: of the core, by the names in docs/options.md (``floor=0.5``)

    Raises:
        AutoAssistError: an argument is wrong; the message says which, and what was expected
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
        if batch_size < 1 or lag < 1:
            raise ConfigError(f"found batch_size {batch_size} and lag {lag}, expected at least 1")
        check_epoch(epoch)
        limits = BatchLimits(max_items=int(batch_size))
        run = Run(max_batches, max_passes, lag)
        options = {"strategy": strategy, **options}
        self._alone = make_spec(features, limits, seed, prior, difficulty, run, options, drop_last)
        self._drop_last, self._kind = drop_last, epoch
        self._session: Session | None = None
        self._reader: object | None = None
        self._epoch, self._begun, self._length = 0, 0, 0
        self._resumed = False  # in the middle of an epoch

    # -- for the loader ---------------------------------------------------------------------------

    def __len__(self) -> int:
        """Batches of an epoch on this rank: of the present one, from its first batch on."""
        return self._length or self._plain

    def __iter__(self) -> Iterator[list[int]]:
        """The ids of each batch of an epoch, or of what is left of one that was resumed.

        Batches that were handed out before and not reported come first.

        Raises:
            AutoAssistError: the loader runs too far ahead, or the Assistant failed and
                ``on_failure`` is 'stop'
        """
        left = self._begin()  # with the first batch, since loaders ask for iterators in vain
        reader = self._reader = object()
        for _ in range(left):
            if self._reader is not reader:
                raise AutoAssistError(
                    "two loops read from one AutoAssist at once: give each loader its own"
                )
            yield self._open().next_batch().ids.tolist()

    # -- for the loop -----------------------------------------------------------------------------

    def report(self, ids: Any, losses: Any) -> None:
        """Learn from the losses of a batch; once for each batch, in the order of the batches.

        Nothing waits for the device: losses (and ids) on it are read when they have arrived.

        Args:
            ids: of the batch, as `WithIds` gave them, integers (B,)
            losses: one an item, floats (B,) of any precision, before any mean

        Raises:
            ReportError: they cannot be right; the message says what to change in the loop. Of ids
                on a device it comes with a later call.
        """
        ids = checked_ids(ids)
        self._open().report(ids, checked_losses(losses, len(ids)))

    def weights(self, ids: Any) -> torch.Tensor:
        """Factor on each item's loss, float32 (B,), on the device of the ids; 1 where the strategy
        has no weights. Ids on a device are waited for.

        Args:
            ids: of a batch, before its report or after it, integers (B,)

        Raises:
            ReportError: there is no such batch
        """
        return self._open().weights(checked_ids(ids))

    @property
    def epoch(self) -> int:
        """Number of the present epoch, from 0; of the next one once all its batches are
        reported."""
        done = self._length and self._trained - self._begun >= self._length
        return self._epoch + bool(done)

    @property
    def batch(self) -> int:
        """Batches of the present epoch that are reported."""
        done = self._trained - self._begun
        return 0 if done >= self._length else done

    @property
    def metrics(self) -> dict[str, float]:
        """Numbers worth plotting, of this rank, as of the last batch reported; empty before.

        ``keep``: share of items kept lately; ``skipped``: share of all items considered so far;
        ``pass``; ``considered`` and ``kept`` items; ``wait``: seconds waited for planning; and
        those of the strategy, as docs/metrics.md has them without ``aa_``.
        """
        session = self._open()
        session.flush()
        if session.progress is None:
            return {}
        passes, keep_rate, totals, own = session.progress
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
        """All that decides the future of this rank: tensors and plain Python.

        Save it with the model after a report. It is as of then, in the middle of an epoch too, and
        goes on with the reports of batches that the loader has already, so copy it
        (`copy.deepcopy`) if it is not saved at once.
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
        """Go on from a state: the next epoch is what was left of the one in which it was saved.

        Raises:
            AutoAssistError: it is of another run or rank; the message says which
        """
        spec = self._of_this_rank()
        check_state(state, spec, self._drop_last)
        self.close()
        self._reader = None
        self._session = Session(spec, state)
        self._epoch, self._begun, self._length = state["epoch"]
        self._resumed = 0 < self.batch

    def close(self) -> None:
        """End the Assistant's process; it ends with the program, and with this object, anyway."""
        if self._session is not None:
            self._session.close()
            self._session = None

    # -- inside -----------------------------------------------------------------------------------

    @property
    def _plain(self) -> int:
        if isinstance(self._kind, int):
            return self._kind
        return plain_length(self._alone, rank_and_world_size()[1], self._drop_last)

    @property
    def _trained(self) -> int:
        return 0 if self._session is None else self._session.trained

    def _of_this_rank(self) -> PlanSpec:
        rank, world_size = rank_and_world_size()
        return dataclasses.replace(self._alone, rank=rank, world_size=world_size)

    def _open(self) -> Session:
        if self._session is None:
            self._session = Session(self._of_this_rank())
        spec = self._session.spec
        if rank_and_world_size() != (spec.rank, spec.world_size):
            raise AutoAssistError(
                f"AutoAssist began as rank {spec.rank} of {spec.world_size}, and torch.distributed "
                "was initialised since: initialise it first"
            )
        return self._session

    def _begin(self) -> int:
        """Begin an epoch, or go on with one that was resumed; returns the batches left of it."""
        session = self._open()
        session.take_back()
        if self._resumed:
            self._resumed = False
            return self._length - self.batch
        self._epoch += self._length > 0 and session.trained > self._begun
        self._begun, self._length = session.trained, self._plain
        if self._kind == PASS:
            self._length = pass_length(session.spec, session.progress, self._plain)
        return self._length
