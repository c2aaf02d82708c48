"""Write pictures that appear under their name when they are complete."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Mapping


def save_png(figure: Any, path: Path, dpi: int, metadata: Mapping[str, str] | None = None) -> None:
    """Write a figure of matplotlib and close it; a missing folder is made.

    Args:
        figure: figure of matplotlib
        path: file to write
        dpi: pixels per inch
        metadata: text chunks of the PNG, by name
    """
    from matplotlib import pyplot

    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.tmp")
    try:
        figure.savefig(part, format="png", dpi=dpi, metadata=dict(metadata or {}))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
        pyplot.close(figure)
