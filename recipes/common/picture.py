"""Write pictures that appear under their name when they are complete."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Mapping

from preprocess.text import whole_file


def save_png(figure: Any, path: Path, dpi: int, metadata: Mapping[str, str] | None = None) -> None:
    """Write a figure of matplotlib and close it; a missing folder is made.

    Args:
        figure: figure of matplotlib
        path: file to write
        dpi: pixels per inch
        metadata: text chunks of the PNG, by name
    """
    from matplotlib import pyplot

    try:
        with whole_file(path) as part:
            figure.savefig(part, format="png", dpi=dpi, metadata=dict(metadata or {}))
    finally:
        pyplot.close(figure)
