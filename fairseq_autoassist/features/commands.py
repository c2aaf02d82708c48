"""Places of features, and the commands that build them, for error messages."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

FEATURES_FOLDER = "autoassist"
AGREEMENT_COMMAND = "autoassist-agreement DATA_BIN"  # for a data-bin that is not known


def feature_folder(
    data_bin: str | Path, subset: str, source_lang: str, target_lang: str, root: str | None = None
) -> Path:
    """``DATA_BIN/autoassist/<subset>.<src>-<tgt>``; ``root`` replaces ``DATA_BIN/autoassist``."""
    base = Path(root) if root else Path(data_bin) / FEATURES_FOLDER
    return base / f"{subset}.{source_lang}-{target_lang}"


def build_command(
    data_bin: str,
    subset: str = "train",
    languages: tuple[str, str] | None = None,
    dest: str | Path | None = None,
) -> str:
    """Command ``autoassist-tfidf`` that builds the features of a data-bin.

    Args:
        data_bin: one, or several as ``a:b``
        subset: of the data-bin
        languages: source and target; None: those of the file names
        dest: folder; None: inside the data-bin
    """
    words = ["autoassist-tfidf", data_bin]
    words += ["--source-lang", languages[0], "--target-lang", languages[1]] if languages else []
    words += [] if subset == "train" else ["--train-subset", subset]
    words += [] if dest is None else ["--dest", str(dest)]
    return " ".join(map(shlex.quote, words))


def mending_command(folder: str | Path) -> str:
    """Command ``autoassist-tfidf`` that builds ``folder``, as far as its path tells."""
    folder = Path(folder)
    data_bin, dest = _place(folder)
    named = re.fullmatch(r"(.+)\.([^.-]+)-([^.-]+)", folder.name)
    if not named:
        return build_command(data_bin, dest=dest)
    subset, source, target = named.groups()
    return build_command(data_bin, subset, (source, target), dest)


def side_command(program: str, build: str) -> str:
    """Command of another program with the arguments of ``build``: data-bins, languages, place."""
    return shlex.join([program, *shlex.split(build)[1:]])


def _place(folder: Path) -> tuple[str, Path | None]:
    """Data-bin of a folder of features, and its ``--dest``; None where it lies inside."""
    by_default = folder.parent.name == FEATURES_FOLDER
    return ("DATA_BIN", folder.parent) if not by_default else (str(folder.parent.parent), None)
