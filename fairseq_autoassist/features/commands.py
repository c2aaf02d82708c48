"""Where features lie, and the commands that build them: what error messages name."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

FEATURES_FOLDER = "autoassist"
AGREEMENT_COMMAND = "autoassist-agreement DATA_BIN"  # where the data-bin is not known


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
    """The ``autoassist-tfidf`` command that builds the features of a data-bin.

    Args:
        data_bin: or shards ``a:b``
        subset: of the data-bin
        languages: source and target; None: left to the file names
        dest: None: inside the data-bin
    """
    words = ["autoassist-tfidf", data_bin]
    words += ["--source-lang", languages[0], "--target-lang", languages[1]] if languages else []
    words += [] if subset == "train" else ["--train-subset", subset]
    words += [] if dest is None else ["--dest", str(dest)]
    return " ".join(map(shlex.quote, words))


def mending_command(folder: str | Path) -> str:
    """The ``autoassist-tfidf`` command that builds ``folder``, as far as its path tells."""
    folder = Path(folder)
    data_bin, dest = _place(folder)
    named = re.fullmatch(r"(.+)\.([^.-]+)-([^.-]+)", folder.name)
    if not named:
        return build_command(data_bin, dest=dest)
    subset, source, target = named.groups()
    return build_command(data_bin, subset, (source, target), dest)


def side_command(program: str, build: str) -> str:
    """The command that writes something beside the features that ``build`` makes: a program, and
    the same data-bins, languages, subset and place."""
    return shlex.join([program, *shlex.split(build)[1:]])


def _place(folder: Path) -> tuple[str, Path | None]:
    """The data-bin of a folder of features and its ``--dest``, None where it lies inside."""
    by_default = folder.parent.name == FEATURES_FOLDER
    return ("DATA_BIN", folder.parent) if not by_default else (str(folder.parent.parent), None)
