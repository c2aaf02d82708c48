"""Who does the work: this process, or the workers of a joblib backend, here or on a cluster.

A task is an importable function and a few paths and numbers. It reads and writes files, so all
workers of a cluster must see the data-bin and the features' folder under the same paths.
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
Prepared = Tuple[str, Dict[str, Any]]  # name and options of joblib.parallel_config


class Crew:
    """Runs the tasks of a build.

    Attributes:
        count: workers that share the work; None: none but this process.
    """

    def __init__(self, count: int | None, backend: str, prepared: Prepared, progress: bool) -> None:
        """``backend`` is what the user calls the backend that was prepared."""
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
        """Do every task; (its number, its result), in the order in which they end.

        Args:
            function: of module level. In this process alone it also gets ``done``, which it tells
                how much of the task is through.
            sizes: of the tasks in ``unit``, for the progress bar.

        Raises:
            FeatureError: a worker died or its task failed. What a task raises for the user
                (AutoAssistError, OSError) comes out as it is.
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
                # One task at a time: each is long. Arguments are small: none needs a shared file.
                settings = {"n_jobs": self.count, "batch_size": 1, "max_nbytes": None}
                try:
                    pool = Parallel(return_as="generator_unordered", **settings)
                except ValueError:  # not every backend can
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
    if parent is not None and parent != os.getpid():  # joblib may run a task where it is
        _live_with(parent)
    return number, function(*task)


def _told(error: Exception, backend: str) -> Exception:
    """The error meant for the user inside ``error``, or else one that says what to do."""
    cause: Any = error
    while cause is not None:
        if isinstance(cause, (AutoAssistError, OSError)):
            return cause
        # Ray wraps a task's error in one of its own, which has it as `cause`.
        cause = getattr(cause, "cause", None) or cause.__cause__
    said = next((line for line in str(error).splitlines() if line.strip()), "no message")
    return FeatureError(
        f"a worker of backend {backend!r} was lost or failed ({type(error).__name__}: {said}): "
        "nothing was written; run it again, with fewer --workers or a smaller --chunk-tokens if "
        "memory ran out"
    )


@contextmanager
def crew_of(workers: int, backend: str | None, progress: bool) -> Iterator[Crew]:
    """A crew, whose processes end with the block.

    Args:
        workers: how many; a Dask cluster has as many as it has.
        backend: a name joblib knows. None: this process alone for one worker, else ``loky``
            (processes of this machine). ``dask``: the cluster of the current
            ``distributed.Client``, or else the one DASK_SCHEDULER_ADDRESS names. ``ray``: the
            cluster RAY_ADDRESS names, or else this machine.

    Raises:
        FeatureError: the backend or its cluster is not to be had.
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
                f"backend {backend!r} is not to be had: {' '.join(str(error).split())}"
            ) from error
        yield Crew(count, backend, (name, options), progress)


def _check_locks() -> None:
    """joblib would go on without processes, and come to grief at the end.

    Raises:
        FeatureError: there is no room for a lock
    """
    try:
        multiprocessing.get_context("spawn").Lock()
    except OSError as error:
        if error.errno != errno.ENOSPC:
            return  # none can be had here, ever: joblib does without
        raise FeatureError(
            f"/dev/shm: {error.strerror}, expected some room there for the locks of --workers; "
            "make room, or run it with --workers 1"
        ) from error


def _loky(stack: ExitStack) -> Prepared:
    from joblib.externals.loky import get_reusable_executor

    # joblib would keep the processes for five idle minutes.
    stack.callback(lambda: get_reusable_executor(reuse=True).shutdown(wait=True))
    return "loky", {}


@functools.lru_cache(maxsize=None)  # once a process; joblib before 1.5 takes no initializer
def _live_with(parent: int) -> None:
    """Set up a worker process of this machine, so that it ends when the one that started it does.

    Which one that was it is told, since it may come to its first task as an orphan. Ctrl-C reaches
    every process of a terminal: that one answers it and ends the others. Where it is killed itself,
    loky's processes would work on, then wait for minutes.
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
