"""A clock beside commands that print nothing for minutes."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Sequence

from tqdm import tqdm

from recipes.common.steps import child

TICK = 1.0  # seconds


def run_with_clock(title: str, command: Sequence[str], cwd: Path) -> None:
    """Run a command as `run_command` does, and show the elapsed time.

    Raises:
        UserError: the command is not found, or fails
    """
    with child(command, cwd) as process:
        with tqdm(desc=title, bar_format="{desc}: {elapsed} so far", mininterval=TICK) as bar:
            while True:
                try:
                    process.wait(TICK)
                    break
                except subprocess.TimeoutExpired:
                    bar.refresh()
