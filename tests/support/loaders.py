"""Loader that saves its own position, for the tests of `pytorch/`."""

from __future__ import annotations

from typing import Any, Iterator

import torch

from fairseq_autoassist.pytorch import AutoAssist, WithIds
from tests.support.loop import dataset


class SavingLoader:
    """Loader that saves its position as torchdata's StatefulDataLoader with workers does.

    It takes the sampler's state when a batch goes to the workers, ahead of the loop. That state
    becomes the loader's when the loop gets that batch.

    Args:
        sampler: whose batches these are
        ahead: batches that the workers have
        every: batches between two states; on resume the batches since the state are read again,
            and the loop does not get them
    """

    def __init__(self, sampler: AutoAssist, ahead: int = 4, every: int = 1) -> None:
        self._data, self._sampler, self._ahead = WithIds(dataset()), sampler, ahead
        self._every = every
        self._resumed: dict[str, Any] | None = None

    def __iter__(self) -> Iterator[Any]:
        batches = iter(self._sampler)
        self._state = {"sampler": self._sampler.state_dict(), "yielded": 0, "since": 0}
        if self._resumed is not None:
            self._sampler.load_state_dict(self._resumed["sampler"])
            batches, self._state = iter(self._sampler), {**self._resumed, "since": 0}
        skipped = 0 if self._resumed is None else self._resumed["since"]
        taken = yielded = self._state["yielded"]
        self._resumed, outstanding = None, []
        while True:
            while len(outstanding) < self._ahead:
                ids = next(batches, None)
                if ids is None:
                    break
                taken += 1
                due = taken % self._every == 0
                outstanding.append((ids, self._sampler.state_dict() if due else None))
            if not outstanding:
                return
            ids, state = outstanding.pop(0)
            yielded += 1
            if state is None:
                self._state = {**self._state, "since": self._state["since"] + 1}
            else:
                self._state = {"sampler": state, "yielded": yielded, "since": 0}
            if skipped > 0:
                skipped -= 1
                continue
            yield torch.utils.data.default_collate([self._data[index] for index in ids])

    def __len__(self) -> int:
        return len(self._sampler)

    def state_dict(self) -> dict[str, Any]:
        """Position of the loader, with the state of the sampler."""
        return self._state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from a position at the next iteration."""
        self._resumed = state
