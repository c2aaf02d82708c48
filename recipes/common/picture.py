"""Pictures that appear under their name once they are whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def save_png(figure: Any, path: Path, dpi: int) -> None:
    """Write a figure of matplotlib and close it; the folder is made if it does not exist."""
    from matplotlib import pyplot

    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.tmp")
    try:
        figure.savefig(part, format="png", dpi=dpi)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
        pyplot.close(figure)
