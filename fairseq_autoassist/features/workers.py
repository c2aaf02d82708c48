"""Workers of a build: this process, or a joblib backend on this machine or a cluster.

A task is an importable function with a few paths and numbers. It reads and writes files, so all
workers of a cluster need the data-bin and the folder of features under the same paths.
"""

from __future__ import annotations

import errno
import functools
import multiprocessing
import os
import signal
import threading
import time
from contextlib import ExitStack, contextmanager
from typing import Any, Callable, Dict, Iterator, Sequence, Tuple

from tqdm import tqdm

from ..errors import AutoAssistError, FeatureError

Task = Sequence[Any]  # positional arguments
Done = Callable[[int], object]  # called with the number of pairs that are done
Prepared = Tuple[str, Dict[str, Any]]  # name and options of joblib.parallel_config


class Crew:
    """Runs the tasks of a build.

    Attributes:
        count: number of workers; None: this process alone.
    """

    def __init__(self, count: int | None, backend: str, prepared: Prepared, progress: bool) -> None:
        """``backend`` is the user's name of the prepared backend."""
        self.count = count
        self._backend = backend
        self._name, self._options = prepared
        self._progress = progress

    def run(
        self,
        label: str,
        function: Callable[..., Any],
        tasks: Sequence[Task],
        sizes: Sequence[int],
        unit: str = "pair",
    ) -> Iterator[tuple[int, Any]]:
        """Do every task; gives (its number, its result) in the order in which they end.

        Args:
            function: at module level. In this process alone it also gets ``done``, which it calls
                with the size of each part that is done.
            sizes: of the tasks in ``unit``, for the progress bar.

        Raises:
            FeatureError: a worker died or its task failed. An AutoAssistError or OSError of a task
                is raised as it is.
        """
        bar = tqdm(
            total=sum(sizes), desc=label, unit=unit, unit_scale=True, disable=not self._progress
        )
        with bar:
            if self.count is None:
                for number, task in enumerate(tasks):
                    yield number, function(*task, done=bar.update)
                return
            for number, result in self._spread(function, tasks):
                bar.update(sizes[number])
                yield number, result

    def _spread(
        self, function: Callable[..., Any], tasks: Sequence[Task]
    ) -> Iterator[tuple[int, Any]]:
        from joblib import Parallel, delayed, parallel_config

        parent = os.getpid() if self._name == "loky" else None
        calls = (delayed(_numbered)(n, function, task, parent) for n, task in enumerate(tasks))
        try:
            with parallel_config(self._name, **self._options):
                # Tasks are long and their arguments small, so neither is batched nor shared.
                settings = {"n_jobs": self.count, "batch_size": 1, "max_nbytes": None}
                try:
                    pool = Parallel(return_as="generator_unordered", **settings)
                except ValueError:  # some backends cannot
                    pool = Parallel(**settings)
                yield from pool(calls)
        except Exception as error:
            told = _told(error, self._backend)
            if told is error:
                raise
            raise told from error


def _numbered(
    number: int, function: Callable[..., Any], task: Task, parent: int | None
) -> tuple[int, Any]:
    if parent is not None and parent != os.getpid():  # joblib may run a task in this process
        _live_with(parent)
    return number, function(*task)


def _told(error: Exception, backend: str) -> Exception:
    """Find the error for the user inside ``error``, or make one that tells what to do."""
    cause: Any = error
    while cause is not None:
        if isinstance(cause, (AutoAssistError, OSError)):
            return cause
        # Ray wraps the error of a task, as `cause`, in one of its own.
        cause = getattr(cause, "cause", None) or cause.__cause__
    said = next((line for line in str(error).splitlines() if line.strip()), "no message")
    return FeatureError(
        f"a worker of backend {backend!r} was lost or failed ({type(error).__name__}: {said}): "
        "nothing was written; run it again, with fewer --workers if memory ran out"
    )


@contextmanager
def crew_of(workers: int, backend: str | None, progress: bool) -> Iterator[Crew]:
    """Make a crew, whose processes end with the block.

    Args:
        workers: number of workers; a Dask cluster uses all of its own.
        backend: a name joblib knows. None: this process alone for one worker, else ``loky``
            (processes of this machine). ``dask``: the cluster of the current
            ``distributed.Client``, or else the one DASK_SCHEDULER_ADDRESS names. ``ray``: the
            cluster RAY_ADDRESS names, or else this machine.

    Raises:
        FeatureError: the backend or its cluster is not available.
    """
    if backend == "multiprocessing":
        raise FeatureError(
            "backend 'multiprocessing' forks this process with its threads and may wait for ever; "
            "expected loky, which starts processes of its own"
        )
    if backend is None and workers == 1:
        yield Crew(None, "", ("", {}), progress)
        return
    backend = backend or "loky"
    if backend == "loky" and workers != 1:
        _check_locks()
    from joblib import effective_n_jobs, parallel_config

    with ExitStack() as stack:
        try:
            name, options = _PREPARE[backend](stack) if backend in _PREPARE else (backend, {})
            with parallel_config(name, **options):
                count = effective_n_jobs(workers)
        except FeatureError:
            raise
        except Exception as error:
            raise FeatureError(
                f"backend {backend!r} is not available: {' '.join(str(error).split())}"
            ) from error
        yield Crew(count, backend, (name, options), progress)


def _check_locks() -> None:
    """Check that locks can be made; joblib would go on without processes, and fail at the end.

    Raises:
        FeatureError: /dev/shm has no room for a lock
    """
    try:
        multiprocessing.get_context("spawn").Lock()
    except OSError as error:
        if error.errno != errno.ENOSPC:
            return  # this system has no locks, and joblib works without them
        raise FeatureError(
            f"/dev/shm: {error.strerror}, expected some room there for the locks of --workers; "
            "make room, or run it with --workers 1"
        ) from error


def _loky(stack: ExitStack) -> Prepared:
    from joblib.externals.loky import get_reusable_executor

    # joblib keeps idle processes for five minutes.
    stack.callback(lambda: get_reusable_executor(reuse=True).shutdown(wait=True))
    return "loky", {}


@functools.lru_cache(maxsize=None)  # once in a process; joblib before 1.5 has no initializer
def _live_with(parent: int) -> None:
    """Set up a worker process of this machine, so that it ends with its parent.

    The parent's id is an argument, since the worker may be an orphan at its first task. Ctrl-C
    reaches every process of a terminal; the parent handles it and ends the workers. Without this,
    loky's processes would work on after the parent was killed, then wait for minutes.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _dask(stack: ExitStack) -> Prepared:
    try:
        import dask
        import distributed
        from joblib import register_parallel_backend

        from .dask_backend import DaskBackend
    except ImportError as error:
        raise FeatureError(
            f"backend 'dask' needs dask and distributed ({error}): pip install distributed"
        ) from error
    register_parallel_backend("autoassist-dask", DaskBackend)
    try:
        return "autoassist-dask", {"client": distributed.get_client()}
    except ValueError:
        address = dask.config.get("scheduler-address", None)
    if not address:
        raise FeatureError(
            "backend 'dask' found no cluster: expected the address of its scheduler in "
            "DASK_SCHEDULER_ADDRESS, such as tcp://HOST:8786"
        )
    client = stack.enter_context(distributed.Client(address, set_as_default=False))
    return "autoassist-dask", {"client": client}


def _ray(stack: ExitStack) -> Prepared:
    try:
        from ray.util.joblib import register_ray
    except ImportError as error:
        raise FeatureError(f"backend 'ray' needs ray ({error}): pip install ray") from error
    register_ray()
    return "ray", {}


_PREPARE = {"loky": _loky, "dask": _dask, "ray": _ray}
