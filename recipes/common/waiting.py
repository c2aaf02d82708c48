"""Commands that say nothing for minutes, with a clock, so that nobody takes them for stuck."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Sequence

from tqdm import tqdm

from recipes.common.steps import child

TICK = 1.0  # seconds; tqdm itself draws no more often than it should


def run_with_clock(title: str, command: Sequence[str], cwd: Path) -> None:
    """Run a command as `run_command` does, with the time it has taken so far on the last line."""
    with child(command, cwd) as process:
        with tqdm(desc=title, bar_format="{desc}: {elapsed} so far", mininterval=TICK) as bar:
            while True:
                try:
                    process.wait(TICK)
                    break
                except subprocess.TimeoutExpired:
                    bar.refresh()
