"""Languages of a prepared corpus, and sacreBLEU's tokenizer for the target."""

from __future__ import annotations

import re
from pathlib import Path

from preprocess.text import UserError

# written without spaces; sacreBLEU's own splitters of Japanese and Korean need further packages
CHARACTERS = ("ja", "ko", "th", "my", "km", "lo")
MOST_SIGNS = 0.9995  # share of the characters that get pieces, of a script with thousands
_INDEX = re.compile(r"train\.([^.-]+)-([^.-]+)\.\1\.idx")


def languages_of(data_bin: Path) -> tuple[str, str]:
    """Source and target of a data-bin, by the names of its files."""
    for path in sorted(data_bin.glob("train.*.idx")):
        found = _INDEX.fullmatch(path.name)
        if found:
            return found[1], found[2]
    raise UserError(
        f"found no train.SOURCE-TARGET.SOURCE.idx in {data_bin}; expected the data-bin of a "
        f"prepared corpus: run `python -m recipes.compare.prepare` again"
    )


def coverage_of(lang: str) -> float:
    """Share of a language's characters that get pieces; the rarest signs become <unk>."""
    return MOST_SIGNS if lang in ("zh", "ja", "ko") else 1.0


def tokenizer_of(target: str) -> str:
    """sacreBLEU's tokenizer for a language: its default, or one for scripts without spaces."""
    return "zh" if target == "zh" else "char" if target in CHARACTERS else "13a"
