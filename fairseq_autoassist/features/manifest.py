"""Manifest of a folder of features: what it holds, and the data it was made of."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Mapping

from ..errors import FeatureError
from ..text.fingerprint import Fingerprint
from .commands import mending_command

# 3: in 2, scikit-learn before 1.4 put values beside the wrong tokens.
FORMAT_VERSION = 3
MANIFEST_NAME = "manifest.json"


@dataclass(frozen=True)
class Manifest:
    """Everything needed to open and to check a folder of features; JSON beside the arrays.

    ``blocks`` and ``block_nonzeros`` give rows and non-zeros of each block, in row order.
    ``settings`` are scikit-learn's TfidfTransformer arguments. ``provenance`` has the number of
    documents, and hashes of the idf vector, of the source side's token counts behind ``rarity``,
    and of the tokens. Data-bins that share one Assistant have the same ``provenance["idf"]``.
    """

    rows: int
    dimensions: int
    source_dimensions: int
    nnz: int
    blocks: tuple[int, ...]
    block_nonzeros: tuple[int, ...]
    fingerprint: Fingerprint
    subset: str
    source_lang: str
    target_lang: str
    settings: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    package_version: str = ""
    format_version: int = FORMAT_VERSION

    def save(self, folder: str | Path) -> None:
        """Write ``folder/manifest.json``."""
        text = json.dumps(asdict(self), indent=2, sort_keys=True, ensure_ascii=False)
        (Path(folder) / MANIFEST_NAME).write_text(text + "\n", encoding="utf-8")

    @property
    def tokens(self) -> list[str]:
        """sha256 of the source and the target tokens; empty: not known."""
        return list(self.provenance.get("tokens") or [])

    @classmethod
    def load(cls, folder: str | Path, command: str | None = None) -> Manifest:
        """Read ``folder/manifest.json``.

        Args:
            folder: of the features
            command: that mends it, for error messages; None: derived from the path

        Raises:
            FeatureError: the file is missing or unreadable, has another format version, or fields
                that are missing or inconsistent
        """
        path = Path(folder) / MANIFEST_NAME
        mend = f"build them with: {command or mending_command(folder)}"
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise FeatureError(f"no features found: expected {path}; {mend}") from error
        except (OSError, ValueError) as error:
            raise FeatureError(f"cannot read {path}: {error}; {mend} --force") from error
        version = raw.get("format_version") if isinstance(raw, dict) else None
        if version != FORMAT_VERSION:
            raise FeatureError(
                f"{path}: found features of format version {version!r}, expected "
                f"{FORMAT_VERSION}; {mend} --force"
            )
        try:
            return cls._from_json(raw)
        except (KeyError, TypeError, ValueError) as error:
            raise FeatureError(
                f"{path}: not a feature manifest ({error}); {mend} --force"
            ) from error

    @classmethod
    def _from_json(cls, raw: Mapping[str, Any]) -> Manifest:
        values = {f.name: raw[f.name] for f in fields(cls)}
        values["fingerprint"] = Fingerprint(**values["fingerprint"])
        for name in ("blocks", "block_nonzeros"):
            values[name] = tuple(int(n) for n in values[name])
        manifest = cls(**values)
        if sum(manifest.blocks) != manifest.rows:
            raise ValueError(f"blocks of {sum(manifest.blocks)} rows, expected {manifest.rows}")
        if len(manifest.blocks) != len(manifest.block_nonzeros):
            raise ValueError("blocks and block_nonzeros differ in length")
        return manifest


def package_version() -> str:
    """Version of this package, under any name that ``--user-dir`` gave it."""
    root = sys.modules.get(__name__.rsplit(".", 2)[0])
    return str(getattr(root, "__version__", "unknown"))
