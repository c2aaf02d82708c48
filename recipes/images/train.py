"""One training by any arm, with the record of its losses, errors and times."""

from __future__ import annotations

import time
from collections import deque
from typing import Any, Callable, Iterable, Iterator

import numpy as np
import torch
from torch.nn import functional

from recipes.images.arms import ARMS
from recipes.images.arrays import Batch, Images, Pairs
from recipes.images.choosing import Method, method_of
from recipes.images.models import build, placed, scores
from recipes.images.schedule import schedule
from recipes.images.sets import stem
from recipes.images.spec import DECAY, MOMENTUM, Run

AHEAD = 2  # most updates by which the host is ahead of a GPU


class OutOfTime(Exception):
    """The deadline passed before the training ended."""


class Clock:
    """Counts seconds of training without evaluation, and the seconds of choosing in them."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds = self.choosing = 0.0
        self._begun = 0.0

    def _settle(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def start(self) -> None:
        """Start or continue counting."""
        self._settle()
        self._begun = time.perf_counter()

    def stop(self) -> None:
        """Stop counting until the next start."""
        self._settle()
        self.seconds += time.perf_counter() - self._begun


class Timed:
    """A batch sampler; each wait for its next batch counts as choosing, reading images does not."""

    def __init__(self, sampler: Iterable[Any], clock: Clock) -> None:
        self._sampler, self._clock = sampler, clock

    def __iter__(self) -> Iterator[Any]:
        batches = iter(self._sampler)
        while True:
            begun = time.perf_counter()
            ids = next(batches, None)
            self._clock.choosing += time.perf_counter() - begun
            if ids is None:
                return
            yield ids


class Pace:
    """Keeps the host at most `AHEAD` updates ahead of a GPU, which is enough to keep it busy.

    The adapter gives at most 32 batches (its lag) ahead of the reports. A host that is further
    ahead would wait for the GPU in the adapter, and that wait would count as choosing.

    Args:
        device: device of the network; on a CPU there is nothing to wait for
        event: makes an event of the GPU
    """

    def __init__(self, device: torch.device, event: Callable[..., Any] = torch.cuda.Event) -> None:
        self._make = event if device.type == "cuda" else None
        self._events: deque[Any] = deque()

    def step(self) -> None:
        """Call it after each update; it waits for the update `AHEAD` before that one."""
        if self._make is None:
            return
        event = self._make(blocking=True)  # the wait leaves the core to other processes
        event.record()
        self._events.append(event)
        if len(self._events) > AHEAD:
            self._events.popleft().synchronize()


class Training:
    """One run, which makes a record.

    Args:
        run: what to train
        data: images, on the device already
        device: device of the network
        deadline: end of training, in seconds of `time.time`; None: no deadline
    """

    def __init__(
        self, run: Run, data: Images, device: torch.device, deadline: float | None = None
    ) -> None:
        self.run, self.data, self.device, self.deadline = run, data, device, deadline
        size = run.width, stem(run.data)
        network = build(run.model, data.classes, data.channels, *size, run.seed)
        self.model = placed(network, device)
        self.optimizer = torch.optim.SGD(
            self.model.parameters(),
            lr=run.rate,
            momentum=MOMENTUM,
            weight_decay=DECAY,
            nesterov=True,
        )
        self.scheduler = schedule(self.optimizer, run.updates)
        self.counts = np.zeros(len(data.labels), dtype=np.int64)  # times each sample was trained on
        self.clock, self.pace = Clock(device), Pace(device)
        self.start_seconds = 0.0
        self.passes = 0
        self.curve: dict[str, list[float]] = {}

    def do(self) -> dict[str, Any]:
        """Train, and return the figures of the whole run and the curve.

        Raises:
            OutOfTime: the deadline passed before the end
        """
        method = method_of(self.run, self.data, self.device)
        try:
            self._train(method)
        finally:
            method.close()
        return {"curve": self.curve, **self._ends()}

    def _train(self, method: Method) -> None:
        marks, last = self.run.mark_after(), self.run.updates
        batches = self._batches(method)
        begun = time.perf_counter()
        batch = next(batches)  # starts the processes that choose or read
        self.start_seconds = time.perf_counter() - begun
        self.clock.choosing = 0.0
        self.clock.start()
        for update in range(1, last + 1):
            self._update(method, batch)
            if update in marks:
                self.clock.stop()
                self._mark(method)
                if update < last and self.deadline is not None and time.time() > self.deadline:
                    raise OutOfTime(self.run.id)
                self.clock.start()
            if update < last:
                batch = next(batches)

    def _batches(self, method: Method) -> Iterator[Batch]:
        """Yield batches without end, pass after pass."""
        while True:
            seed = 1_000_003 * self.run.seed + self.passes
            yield from self.data.batches(Timed(method.sampler, self.clock), seed)
            self.passes += 1

    def _forward(self, images: torch.Tensor) -> torch.Tensor:
        return scores(self.model, images, self.run.bf16)

    def _update(self, method: Method, batch: Batch) -> None:
        self.model.train()
        outputs = self._forward(batch.images)
        losses = functional.cross_entropy(outputs, batch.labels, reduction="none")
        begun = time.perf_counter()
        weights = method.weigh(batch, losses.detach())
        self.clock.choosing += time.perf_counter() - begun
        loss = losses.mean() if weights is None else (weights * losses).mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.scheduler.step()
        np.add.at(self.counts, batch.ids, 1)
        self.pace.step()

    def _mark(self, method: Method) -> None:
        loss, train_error = self.measure(self.data.probe())
        _, test_error = self.measure(self.data.test())
        row = {
            "samples": float(self.counts.sum()),
            "seconds": self.clock.seconds,
            "train_loss": loss,
            "train_error": train_error,
            "test_error": test_error,
            "distinct": float((self.counts > 0).sum()),
            **method.metrics(),
        }
        for key, value in row.items():
            self.curve.setdefault(key, []).append(float(value))

    @torch.no_grad()
    def measure(self, pairs: Pairs) -> tuple[float, float]:
        """Mean loss (nats) and error (share) over images, in evaluation mode."""
        self.model.eval()
        loss, wrong, count = 0.0, 0, 0
        for images, labels in pairs:
            outputs = self._forward(images)
            loss += float(functional.cross_entropy(outputs, labels, reduction="sum"))
            wrong += int((outputs.argmax(1) != labels).sum())
            count += len(labels)
        return loss / count, wrong / count

    def _ends(self) -> dict[str, Any]:
        """Figures of the whole run."""
        samples = int(self.counts.sum())
        wrong = self.data.labels != self.data.true_labels
        return {
            "samples": samples,
            "seconds": self.clock.seconds,
            "choosing_seconds": self.clock.choosing,
            "start_seconds": self.start_seconds,
            "test_error": self.curve["test_error"][-1],
            "train_loss": self.curve["train_loss"][-1],
            "wrong_labels": float(wrong.mean()),
            "wrong_trained": float(self.counts[wrong].sum() / samples),
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "title": ARMS[self.run.arm].title,
        }
