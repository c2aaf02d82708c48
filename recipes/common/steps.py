"""Steps of a recipe: a finished step is skipped, an interrupted step resumes.

The key of a step is a hash of its settings and of the key before. So a changed setting repeats that
step and all later ones. `NAME.begun` is written before the work, `NAME.done` after it.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator, Mapping, Sequence

from preprocess.text import UserError, whole_files


def environment() -> dict[str, str]:
    """Make the environment of a command, with this Python's scripts (fairseq-train, ...) first."""
    scripts = str(Path(sys.executable).parent)
    return {**os.environ, "PATH": scripts + os.pathsep + os.environ.get("PATH", "")}


@contextmanager
def child(command: Sequence[str], cwd: Path, piped: bool = False) -> Iterator[subprocess.Popen]:
    """Start a command that ends with the block, also when a signal ends the block.

    Its standard output goes to the block as text if `piped`, else to this terminal.

    Raises:
        UserError: the command is not found, or fails
    """
    print("$ " + shlex.join(command), flush=True)
    output = subprocess.PIPE if piped else None
    try:
        process = subprocess.Popen(
            command, cwd=cwd, env=environment(), stdout=output, encoding="utf-8"
        )
    except FileNotFoundError as error:
        raise UserError(
            f"found no command {command[0]}; expected it in the environment: run `make venv`"
        ) from error
    try:
        yield process
        if process.wait() != 0:
            raise UserError(
                f"{command[0]} failed with status {process.returncode}; its own messages are above"
            )
    finally:
        if process.poll() is None:
            process.terminate()  # not kill: fairseq-train has to end its own processes
            process.wait()


def run_command(command: Sequence[str], cwd: Path) -> None:
    """Run a command with its output on this terminal.

    Raises:
        UserError: the command is not found, or fails
    """
    with child(command, cwd):
        pass


@contextmanager
def stoppable(again: str) -> Iterator[None]:
    """End a recipe in order on Ctrl-C, SIGTERM and a closed terminal, and print how to resume.

    Args:
        again: command that resumes the recipe
    """

    def stop(number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    numbers = [signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup sets this
        numbers.append(signal.SIGHUP)
    previous = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    except KeyboardInterrupt:
        print(f"\ninterrupted; `{again}` resumes from here", file=sys.stderr)
        sys.exit(130)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _set_aside(path: Path) -> None:
    """Rename `path` to the first free of `PATH.1`, `PATH.2`, ..., and print that."""
    if path.exists():
        names = (path.with_name(f"{path.name}.{number}") for number in itertools.count(1))
        free = next(name for name in names if not name.exists())
        path.rename(free)
        print(f"{path} was not made by this recipe: moved to {free.name}", flush=True)


class Steps:
    """A chain of steps with their stamps in one folder.

    Args:
        folder: folder of the stamps
        total: number of steps
    """

    def __init__(self, folder: Path, total: int) -> None:
        self.folder = folder
        self.total = total
        self.count = 0
        self.key = ""

    def _enter(self, name: str, settings: Mapping[str, object]) -> None:
        """Count the next step, and take its key."""
        self.count += 1
        text = json.dumps([self.key, name, settings], sort_keys=True)
        self.key = hashlib.sha256(text.encode()).hexdigest()

    def _stamp(self, name: str, state: str) -> Path:
        return self.folder / f"{name}.{state}"

    def _holds(self, name: str, state: str) -> bool:
        stamp = self._stamp(name, state)
        return stamp.is_file() and stamp.read_text(encoding="utf-8") == self.key

    def _mark(self, name: str, state: str) -> None:
        with whole_files(self._stamp(name, state)) as (stream,):
            stream.write(self.key)

    def run(
        self,
        name: str,
        settings: Mapping[str, object],
        outputs: Sequence[Path],
        action: Callable[[], None],
    ) -> bool:
        """Do one step unless it was done with these settings; return whether it was done now.

        If an interrupted step had the same settings, its `outputs` stay, and `action` resumes from
        them. Outputs of this step with other settings are removed first. Files that this step never
        made, such as a model trained by hand, are renamed.

        Args:
            name: name of the step and of its stamps
            settings: settings on which the outputs depend, for JSON
            outputs: files and folders that the step makes
            action: does the step

        Raises:
            UserError: the action fails, or leaves an output out
        """
        self._enter(name, settings)
        title = f"[{self.count}/{self.total}] {name}"
        if self._holds(name, "done") and all(path.exists() for path in outputs):
            print(f"{title}: reused", flush=True)
            return False
        print(title, flush=True)
        self._stamp(name, "done").unlink(missing_ok=True)
        if not self._holds(name, "begun"):
            clear = _remove if self._stamp(name, "begun").is_file() else _set_aside
            for path in outputs:
                clear(path)
            self._mark(name, "begun")
        start = time.monotonic()
        action()
        missing = [str(path) for path in outputs if not path.exists()]
        if missing:
            raise UserError(f"step {name} ended without writing {', '.join(missing)}; see above")
        self._mark(name, "done")
        print(f"{title}: done in {time.monotonic() - start:.0f} s", flush=True)
        return True
