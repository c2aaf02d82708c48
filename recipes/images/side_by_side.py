"""Runs side by side, a process each; a run that fails does not end the others."""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Callable, Iterator, Sequence

from recipes.images.records import Record
from recipes.images.spec import Run

SLACK = 1.3  # a run may take this many times what its kind took before


@dataclass(frozen=True)
class Place:
    """Where and with what a run is made.

    Attributes:
        session: name of the call
        device: as torch names it
        threads: of torch, of each run
        workers: processes of each run that read photos
        jobs: runs side by side
        deadline: by `time.time`, after which nothing is trained; None: there is none
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
        """What a record says of it."""
        names = ("device", "threads", "workers", "jobs")
        return {name: getattr(self, name) for name in names}


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
    """What a run's process does: send the record, or why there is none."""
    from recipes.images.train import OutOfTime

    try:
        with contextlib.redirect_stdout(io.StringIO()):  # where the data were found, said before
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
    begun: float  # by `time.monotonic`


class SideBySide:
    """Makes runs and yields their records as they end.

    `left` has the runs that time did not suffice for, `failed` those that failed, afterwards.

    Args:
        child: what a process does
        start: how it starts; "fork" suits no process that has used a GPU
    """

    def __init__(
        self, place: Place, child: Callable[..., None] = _child, start: str = "spawn"
    ) -> None:
        self.place, self._child = place, child
        self._context: Any = multiprocessing.get_context(start)
        self.left: list[Run] = []
        self.failed: list[Run] = []
        self._speed: dict[tuple, float] = {}  # wall seconds a sample, by kind of run

    def make(self, runs: Sequence[Run]) -> Iterator[Record]:
        """Start `jobs` runs, and one more whenever one ends."""
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
        """Whether a run is expected to end in time; one of a kind not seen yet is."""
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
        """Take what a process sent, and wait for its end."""
        try:
            line = ended.pipe.recv()
        except EOFError:  # it died; its own words are on the terminal
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
    """Runs of one kind take the same time a sample, or nearly."""
    return run.data, run.model, run.width, run.arm == "screenernet", run.bf16
