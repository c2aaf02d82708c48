"""Runs side by side, one process each; a run that fails does not end the others."""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Callable, Generator, Sequence

from recipes.images.records import Record
from recipes.images.spec import Run

SLACK = 1.3  # factor on the expected time of a run, for safety


@dataclass(frozen=True)
class Place:
    """Place and resources of a run.

    Attributes:
        session: name of the call
        cache: folder of downloads and features
        device: name of a torch device
        threads: torch's threads, for each run
        workers: processes that read photos, for each run
        jobs: number of runs side by side
        deadline: end of training, in seconds of `time.time`; None: no deadline
        photos: folder in ImageNet's layout; None: published photos
    """

    session: str
    cache: Path
    device: str
    threads: int
    workers: int
    jobs: int
    deadline: float | None = None
    photos: Path | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """Facts of the place that go into a record; the folder of photos only if one is named."""
        names = ("device", "threads", "workers", "jobs")
        named = {} if self.photos is None else {"photos": str(self.photos.resolve())}
        return {**{name: getattr(self, name) for name in names}, **named}


def perform(run: Run, place: Place) -> Record:
    """Make one run in this process.

    Raises:
        OutOfTime: the deadline passed before its end
    """
    import platform

    import torch

    from recipes.images import sets
    from recipes.images.train import Training

    torch.set_num_threads(place.threads)
    device = torch.device(place.device)
    data = sets.load(run.data, place.cache, place.photos, run.side, place.workers)
    data.to(device)
    found = Training(run, data, device, place.deadline).do()
    curve = found.pop("curve")
    on = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    facts = {**place.facts, "machine": on, "torch": torch.__version__}
    return Record(run, run.settings, place.session, curve, found, facts)


def _child(run: Run, place: Place, pipe: Connection) -> None:
    """Make a run and send its record, or None if the deadline passed: the target of a process."""
    from recipes.images.train import OutOfTime

    try:
        with contextlib.redirect_stdout(io.StringIO()):  # the parent has printed the same lines
            record = perform(run, place)
        pipe.send(record.as_line())
    except OutOfTime:
        pipe.send(None)
    finally:
        pipe.close()


@dataclass
class _Started:
    run: Run
    process: Any
    pipe: Connection
    begun: float  # seconds of `time.monotonic`


class SideBySide:
    """Makes runs and yields their records as they end.

    Attributes:
        left: after `make`, the runs for which the time was too short
        failed: after `make`, the runs that failed

    Args:
        place: place and resources of the runs
        child: target of a process
        start: start method of processes; "fork" fails after this process has used a GPU
    """

    def __init__(
        self, place: Place, child: Callable[..., None] = _child, start: str = "spawn"
    ) -> None:
        self.place, self._child = place, child
        self._context: Any = multiprocessing.get_context(start)
        self.left: list[Run] = []
        self.failed: list[Run] = []
        self._speed: dict[tuple, float] = {}  # wall seconds per sample, by kind of run

    def make(self, runs: Sequence[Run]) -> Generator[Record, None, None]:
        """Make all runs, `jobs` at a time, and yield each record when its run ends."""
        waiting = list(runs)
        started: list[_Started] = []
        try:
            while waiting or started:
                while waiting and len(started) < self.place.jobs:
                    run = waiting.pop(0)
                    if self._suffices(run):
                        started.append(self._start(run))
                    else:
                        self.left.append(run)
                for pipe in wait([s.pipe for s in started]) if started else ():
                    ended = next(s for s in started if s.pipe is pipe)
                    started.remove(ended)
                    record = self._end(ended)
                    if record is not None:
                        yield record
        finally:
            for other in started:
                other.process.terminate()
            for other in started:
                other.process.join()

    def _suffices(self, run: Run) -> bool:
        """Whether a run is expected to end in time; True for a kind of run that is new."""
        if self.place.deadline is None:
            return True
        expected = SLACK * self._speed.get(_kind(run), 0.0) * run.updates * run.batch
        return time.time() + expected < self.place.deadline

    def _start(self, run: Run) -> _Started:
        ours, theirs = self._context.Pipe(duplex=False)
        process = self._context.Process(target=self._child, args=(run, self.place, theirs))
        process.start()
        theirs.close()
        return _Started(run, process, ours, time.monotonic())

    def _end(self, ended: _Started) -> Record | None:
        """Receive the record of a process, or None, and wait for the end of the process."""
        try:
            line = ended.pipe.recv()
        except EOFError:  # the process died; its error is on the terminal
            self.failed.append(ended.run)
            line = None
        else:
            if line is None:
                self.left.append(ended.run)
        ended.process.join()
        if line is None:
            return None
        took = time.monotonic() - ended.begun
        self._speed[_kind(ended.run)] = took / (ended.run.updates * ended.run.batch)
        return Record.of_line(line)


def _kind(run: Run) -> tuple:
    """Kind of a run; runs of one kind take about the same time per sample."""
    return run.data, run.model, run.width, run.arm == "screenernet", run.bf16
