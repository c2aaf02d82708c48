"""Finds the two sides of a training subset in a data-bin, as fairseq does."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple, Sequence

from ..errors import FeatureError
from .binarized import BinarizedSide
from .fingerprint import Fingerprint, fingerprint_of_files, sha256_of_files

CHUNK_TOKENS = 1_000_000  # tokens of both sides held at once: about 30 MB of memory


class Shard(NamedTuple):
    """One data-bin of a list; the dictionaries are those of the first data-bin of ``a:b``."""

    data_bin: Path
    source: BinarizedSide
    target: BinarizedSide
    source_dict: Path
    target_dict: Path

    @property
    def rows(self) -> int:
        """Number of pairs."""
        return len(self.source.sizes)

    def fingerprint(self) -> Fingerprint:
        """Fingerprint that binds features to these data."""
        dictionaries = self.source_dict, self.target_dict
        return fingerprint_of_files(dictionaries, (self.source, self.target))

    def token_hashes(self) -> list[str]:
        """sha256 of the tokens of source and target."""
        return sha256_of_files([self.source.data_path, self.target.data_path])


def split_shards(data_bin: str) -> list[Path]:
    """Split ``a:b`` into [a, b], as fairseq.utils.split_paths; ``a:a`` gives [a].

    Raises:
        FeatureError: there is no folder, or one does not exist
    """
    folders = [Path(part) for part in data_bin.split(os.pathsep) if part]
    for folder in folders:
        if not folder.is_dir():
            raise FeatureError(f"no folder {folder}: expected the --destdir of fairseq-preprocess")
    if not folders:
        raise FeatureError("DATA_BIN is empty: expected the --destdir of fairseq-preprocess")
    return [folders[n] for n, first in enumerate(first_places(folders)) if n == first]


def first_places(folders: Sequence[Path]) -> list[int]:
    """Index of the first occurrence of each folder in the list, under any name."""
    real = [folder.resolve() for folder in folders]
    return [real.index(folder) for folder in real]


def infer_languages(
    folder: Path, subset: str, source: str | None = None, target: str | None = None
) -> tuple[str, str]:
    """Infer languages from file names ``<subset>.<src>-<tgt>.<lang>.idx``; given ones are kept.

    fairseq takes the first such file; here the answer must be unique.

    Raises:
        FeatureError: no such file, or several language pairs.
    """
    if source and target:
        return source, target
    pattern = re.compile(re.escape(subset) + r"\.([^.-]+)-([^.-]+)\.[^.]+(\.idx)?")
    matches = [pattern.fullmatch(name) for name in sorted(os.listdir(folder))]
    pairs = sorted({(m.group(1), m.group(2)) for m in matches if m})
    fitting = [p for p in pairs if source in (None, p[0]) and target in (None, p[1])]
    if len(fitting) == 1:
        return fitting[0]
    named = ", ".join("-".join(p) for p in pairs)
    if pairs:
        raise FeatureError(
            f"{folder} holds subset {subset!r} in {named}: say which with --source-lang and "
            "--target-lang"
        )
    raise FeatureError(
        f"no subset {subset!r} in {folder}: expected files like {subset}.en-de.en.idx; make them "
        "with fairseq-preprocess, or name another with --train-subset; languages with a dash in "
        "their names need --source-lang and --target-lang"
    )


def open_shard(folder: Path, first: Path, subset: str, source: str, target: str) -> Shard:
    """Open the pairs of a data-bin; ``first`` is the data-bin whose dictionaries fairseq uses.

    Raises:
        FeatureError: files missing, damaged or not mmap; sides of different length; dictionaries
            that differ from the first folder's; further parts (train1) that fairseq would add.
    """
    prefix = _prefix(folder, subset, source, target)
    if prefix is None:
        raise FeatureError(
            f"no {subset}.{source}-{target} in {folder}: expected {subset}.{source}-{target}."
            f"{source}.idx and .bin; make them with fairseq-preprocess"
        )
    if _prefix(folder, subset + "1", source, target):
        raise FeatureError(
            f"{folder} also holds {subset}1, which fairseq would join to {subset}: not supported; "
            "join the text before fairseq-preprocess, or make it a shard of its own (a:b)"
        )
    dicts = [Path(folder, f"dict.{lang}.txt") for lang in (source, target)]
    firsts = [Path(first, f"dict.{lang}.txt") for lang in (source, target)]
    for own, used in zip(dicts, firsts):
        if own.exists() and used.exists() and own.read_bytes() != used.read_bytes():
            raise FeatureError(
                f"{own} differs from {used}, which fairseq would use for both: run "
                f"fairseq-preprocess again with --srcdict and --tgtdict of {first}"
            )
    sides = [BinarizedSide(f"{prefix}.{lang}") for lang in (source, target)]
    if len(sides[0].sizes) != len(sides[1].sizes):
        raise FeatureError(
            f"{prefix}: found {len(sides[0].sizes)} source and {len(sides[1].sizes)} target "
            "sentences, expected as many of one as of the other; run fairseq-preprocess again"
        )
    return Shard(folder, sides[0], sides[1], firsts[0], firsts[1])


def _prefix(folder: Path, subset: str, source: str, target: str) -> Path | None:
    """Path ``folder/<subset>.<src>-<tgt>``, or with the languages swapped, as in fairseq."""
    for pair in (f"{source}-{target}", f"{target}-{source}"):
        prefix = folder / f"{subset}.{pair}"
        if any(Path(f"{prefix}.{source}{end}").exists() for end in (".idx", "")):
            return prefix
    return None
