"""Cost of building the features of a large corpus: time, memory of all processes, disk."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from tests.support.processes import children

from .measure import Result, at_most, informative

WORKERS = 2
SECONDS_TARGET = 180.0
AGREEMENT_SECONDS_TARGET = 900.0
MEMORY_TARGET = 3.0  # GiB, all processes together
_COMMAND = [sys.executable, "-m", "fairseq_autoassist.cli.tfidf"]
_AGREEMENT = [sys.executable, "-m", "fairseq_autoassist.cli.agreement"]
_SAMPLED = 0.02  # seconds between two readings of the memory
_TIMEOUT = 1200.0


def building(data_bin: Path, pairs: int) -> list[Result]:
    """Time, memory and disk of ``autoassist-tfidf`` on a data-bin."""
    workers = ["--workers", str(WORKERS)] if _has_workers() else []
    command = [*_COMMAND, str(data_bin), "--force", "--no-progress", *workers]
    seconds, peak = _watched(command)
    folder = next((data_bin / "autoassist").iterdir())
    size = {path.name: path.stat().st_size for path in folder.iterdir()}
    what = f"features of {pairs:,} pairs, workers: {WORKERS if workers else 1}"
    return [
        at_most(f"{what}: wall time", seconds, "s", SECONDS_TARGET),
        at_most(f"{what}: memory of all processes", peak / 2**30, "GiB", MEMORY_TARGET),
        informative(f"{what}: rate", pairs / seconds, "pairs/s"),
        informative("features: size on disk", sum(size.values()) / 2**30, "GiB"),
        informative("features: size on disk, a pair", sum(size.values()) / pairs, "B/pair"),
        informative("features: of that, rarity", size.get("rarity", 0) / pairs, "B/pair"),
        informative("data-bin: size on disk, a pair", _data_bin_bytes(data_bin) / pairs, "B/pair"),
    ]


def judging(data_bin: Path, pairs: int) -> list[Result]:
    """Time and memory of ``autoassist-agreement`` on a data-bin with features."""
    words = [str(data_bin), "--no-progress", "--workers", str(WORKERS)]
    seconds, peak = _watched([*_AGREEMENT, *words])
    what = f"agreement of {pairs:,} pairs, workers: {WORKERS}"
    return [
        at_most(f"{what}: wall time", seconds, "s", AGREEMENT_SECONDS_TARGET),
        at_most(f"{what}: memory of all processes", peak / 2**30, "GiB", MEMORY_TARGET),
        informative(f"{what}: rate", pairs / seconds, "pairs/s"),
    ]


def _has_workers() -> bool:
    told = subprocess.run([*_COMMAND, "--help"], capture_output=True, text=True, timeout=60)
    return "--workers" in told.stdout


def _watched(command: list[str]) -> tuple[float, int]:
    """Seconds that a command took, and the peak memory of it and its children together.

    Shared memory counts once for each process: the figure is an upper bound.
    """
    began, peak = time.perf_counter(), 0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        while process.poll() is None:
            peak = max(peak, sum(map(_resident, [process.pid, *children(process.pid)])))
            if time.perf_counter() - began > _TIMEOUT:
                raise RuntimeError(f"{' '.join(command)} took more than {_TIMEOUT:g} s")
            time.sleep(_SAMPLED)
        seconds = time.perf_counter() - began
    finally:
        process.kill()
        process.wait()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed with exit status {process.returncode}")
    return seconds, peak


def _resident(pid: int) -> int:
    try:
        told = Path(f"/proc/{pid}/status").read_text()
    except OSError:  # the process has ended
        return 0
    return 1024 * int(told.split("VmRSS:")[1].split()[0]) if "VmRSS:" in told else 0


def _data_bin_bytes(data_bin: Path) -> int:
    return sum(path.stat().st_size for path in data_bin.glob("train.*"))
