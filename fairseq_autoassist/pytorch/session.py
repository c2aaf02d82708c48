"""The exchange with the planner: batches go to the loader, losses come from the loop."""

from __future__ import annotations

import contextlib
import functools
import logging
import threading
from collections import deque
from typing import Any, Callable, Iterator, TypeVar, cast

import numpy as np
import torch

from ..core.message import Message
from ..core.protocol import PlannedBatch, PlanSpec, rows_to_positions
from ..core.worker.client import Exchange
from ..core.worker.process import ProcessExchange
from ..errors import AssistantFailure, AutoAssistError
from .handed import Handed
from .problem import in_python
from .reports import Reports
from .saving import Position, Recorder, replayed

logger = logging.getLogger("fairseq_autoassist")


@contextlib.contextmanager
def _names_of_python() -> Iterator[None]:
    """Name arguments in place of flags in a failure."""
    try:
        yield
    except AssistantFailure as failure:
        raise in_python(failure) from None


_Method = TypeVar("_Method", bound=Callable[..., Any])


def _by_one_thread(method: _Method) -> _Method:
    """Let one thread at a time into the session: some programs read their loader in a thread."""

    @functools.wraps(method)
    def locked(self: Session, *args: Any, **kwargs: Any) -> Any:
        with self._lock:
            return method(self, *args, **kwargs)

    return cast(_Method, locked)


class Session:
    """Owns the exchange with the planner, the batches that the loader has, and their reports.

    Args:
        spec: specification of this rank's plan
        state: state of an earlier session; None: the stream begins

    Raises:
        AssistantFailure: (from any method) the Assistant failed, and ``on_failure`` is 'stop'
    """

    def __init__(self, spec: PlanSpec, state: dict[str, Any] | None = None) -> None:
        self.spec = spec
        kind = Exchange if spec.config.inline else ProcessExchange
        self.position: Position | None = None  # at the newest batch reported
        self._known: dict[int, np.ndarray | None] = {}  # later reports in the state, by batch
        if state is None:
            self._exchange = kind(spec)
        else:
            self._exchange, self.position, self._known = replayed(kind, spec, state)
        self._handed = Handed()
        self._reports = Reports(self._handed)
        self._recorder = Recorder()
        self._again: deque[PlannedBatch] = deque()  # to hand out again, not reported yet
        self._said: set[str] = set()
        self._lock = threading.RLock()

    @property
    def trained(self) -> int:
        """Number of batches of the run whose losses were reported to the planner."""
        return self._exchange.ledger.reported

    @property
    @_by_one_thread
    def reported(self) -> int:
        """Number of batches of the run that were reported, losses on their way included."""
        return self.trained + len(self._reports)

    @property
    def waited(self) -> float:
        """Seconds that this process has waited for planning."""
        return self._exchange.waited

    @property
    def _is_ahead(self) -> bool:
        """Whether no further batch can be planned before a report."""
        ledger = self._exchange.ledger
        return not self._again and ledger.handed_out - ledger.reported >= self.spec.lag

    @_by_one_thread
    def next_batch(self) -> PlannedBatch:
        """Give the next batch for the loader.

        Raises:
            AutoAssistError: ``lag`` batches are handed out and none of them is reported
        """
        self.flush()
        lag = self.spec.lag
        while self._is_ahead and self._reports:
            self.flush(wait_for=1)
        # a loader that resumes may skip more batches than `lag`
        if self._is_ahead and (skipped := self._handed.take_first(self._known)):
            self._tell(skipped, None)
        if self._is_ahead:
            raise AutoAssistError(
                f"{lag} batches are handed out and none of them is reported: call report(ids, "
                "losses) for each; or, if the loader takes that many ahead (num_workers x "
                f"prefetch_factor), give AutoAssist a lag above that, in place of {lag}"
            )
        with _names_of_python():
            batch = self._again.popleft() if self._again else self._exchange.next_batch()
        self._handed.add(batch)
        return batch

    @_by_one_thread
    def take_back(self) -> None:
        """Put the batches that the loader has and that were not reported first in the stream.

        A new loop calls it, since the old loader gives these batches no more.
        """
        self.flush(wait_for=len(self._reports))
        left = deque(self._handed.take_back())
        while left and left[0].number in self._known:
            self._tell(left.popleft(), None)
        self._again.extendleft(reversed(left))

    @_by_one_thread
    def report(self, ids: torch.Tensor, losses: torch.Tensor) -> None:
        """Take the losses of a batch.

        Args:
            ids: integers (B,), on any device
            losses: float32 (B,), in the order of the ids

        Raises:
            ReportError: no unreported batch has these ids
        """
        self._reports.put(ids, losses)
        self.flush()

    @_by_one_thread
    def flush(self, wait_for: int = 0) -> None:
        """Pass the losses that have arrived to the planner.

        Args:
            wait_for: number of reports to wait for
        """
        for batch, losses in self._reports.arrived(wait_for):
            self._tell(batch, losses)

    def _tell(self, batch: PlannedBatch, losses: np.ndarray | None) -> None:
        """Pass the losses of a batch to the planner; None: the batch was left out.

        A loader that resumes skips the batches that were trained on after its state was made. Their
        losses are in the state.
        """
        if losses is None and batch.number not in self._known:
            self._say_once(
                "left out",
                f"batch {batch.number} was taken from the loader and not reported, and a later one "
                "was: the first counts as not trained on",
            )
        known = self._known.pop(batch.number, None)
        losses = known if losses is None else losses
        with _names_of_python():
            self._exchange.report(batch.number, losses)
        self._recorder.reported(batch.number, losses)
        self.position = Position.of(batch)
        self._say(batch.messages)

    @_by_one_thread
    def weights(self, ids: torch.Tensor) -> torch.Tensor:
        """Weights of the losses of a batch: float32 (B,), on the device of the ids.

        Args:
            ids: integers (B,), of a batch before or soon after its report

        Raises:
            ReportError: no batch has these ids
        """
        self.flush()
        host = ids.cpu().numpy()
        batch = self._handed.find(host)
        weights = batch.kept["weight"][rows_to_positions(host, batch.ids)]
        return torch.from_numpy(weights).to(ids.device)

    @_by_one_thread
    def state(self, header: dict[str, Any]) -> dict[str, Any]:
        """Make the state after the newest report, with the entries of ``header`` in it."""
        self.flush(wait_for=len(self._reports))
        return self._recorder.state(self._exchange, self.position, header, self._known)

    def close(self) -> None:
        """End the Assistant's process. May be called again."""
        self._exchange.close()

    def _say(self, messages: list[Message]) -> None:
        failure = self._exchange.failure
        if failure is not None:
            kept = self._exchange.kept_since
            self._say_once(
                "failure", f"{failure}. Training goes on without skipping: {kept} is kept"
            )
        for one in messages:
            if one.bad and self.spec.config.on_failure == "stop":
                raise AssistantFailure(f"{one.text}; stopping, as on_failure='stop' asks for")
            logger.warning(f"AutoAssist: {one.text}")

    def _say_once(self, about: str, text: str) -> None:
        if about not in self._said:
            self._said.add(about)
            logger.warning(f"AutoAssist: {text}")
