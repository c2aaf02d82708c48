"""Read JSON files of recipes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from preprocess.text import read_lines


def read_json(path: Path, missing_ok: bool = False) -> dict[str, Any]:
    """Read one JSON object; empty where the file is missing and may be.

    Raises:
        UserError: the file is missing or no text
        ValueError: it is not JSON
    """
    if missing_ok and not path.is_file():
        return {}
    return dict(json.loads("\n".join(read_lines(path))))
