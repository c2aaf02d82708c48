"""A prior that is mapped from its file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..core.prior import Prior, digest
from .commands import AGREEMENT_COMMAND
from .files import map_file


class MappedPrior(Prior):
    """Prior of every pair in a file of float32 little-endian values; pickled as its path.

    Args:
        path: of the file
        rows: number of pairs
        floor, sha256: as for `Prior`
        command: that mends the file, for error messages

    Raises:
        FeatureError: the file is missing, too short or too long
    """

    def __init__(
        self, path: Path, rows: int, floor: float, sha256: str, command: str = AGREEMENT_COMMAND
    ) -> None:
        super().__init__(map_file(path, rows, np.float32, command, force=False), floor, sha256)
        self.path, self._command = path, command

    def __reduce__(self) -> tuple[Any, ...]:
        about = self.path, len(self.values), self.floor, self.sha256, self._command
        return MappedPrior, about

    def in_memory(self) -> Prior | None:
        """Read the prior into memory; None: its file has changed.

        A read of a mapped file that was truncated ends the process.
        """
        try:
            values = np.fromfile(self.path, dtype="<f4")
        except OSError:
            return None
        if digest(values) != self.sha256:
            return None
        return Prior(values.astype(np.float32), self.floor, self.sha256)
