"""Fingerprint of a corpus: hashes of its dictionaries, sentence lengths and tokens."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Sequence, Tuple

import numpy as np

from ..errors import FeatureError
from .binarized import MEND, BinarizedSide

_HASH_ROWS = 1 << 20  # sizes converted at once


@dataclass(frozen=True)
class Fingerprint:
    """Number of pairs, and sha256 of dictionaries and sizes, which bind features to their data."""

    rows: int
    source_dict: str
    target_dict: str
    sizes: str

    def differences(self, expected: Fingerprint) -> str:
        """Describe the fields that differ; '' where all agree."""
        names = {
            "rows": "rows (number of pairs)",
            "source_dict": "source dictionary",
            "target_dict": "target dictionary",
            "sizes": "sizes (sentence lengths)",
        }
        phrases = []
        for key, name in names.items():
            found, wanted = getattr(self, key), getattr(expected, key)
            if found != wanted:
                short = (str(found)[:12], str(wanted)[:12])
                phrases.append(f"{name}: found {short[0]}, expected {short[1]}")
        return "; ".join(phrases)


def token_differences(found: Sequence[str], expected: Sequence[str]) -> str:
    """Describe the sides whose tokens differ; '' where both agree.

    Args:
        found, expected: sha256 of source and target tokens; empty: not known
    """
    phrases = []
    for side, name in enumerate(("source", "target")):
        mine, wanted = (
            str(hashes[side])[:12] if hashes else "none" for hashes in (found, expected)
        )
        if mine != wanted:
            phrases.append(f"tokens of the {name}: found {mine}, expected {wanted}")
    return "; ".join(phrases)


def data_differences(
    found: Fingerprint,
    found_tokens: Sequence[str],
    expected: Fingerprint,
    expected_tokens: Sequence[str] | None,
) -> str:
    """Describe how data differ: by their fingerprints, or else by their tokens; '' if they agree.

    Args:
        found, expected: describe the data
        found_tokens, expected_tokens: sha256 of source and target tokens; empty: not known; None:
            not compared
    """
    differences = found.differences(expected)
    if differences or expected_tokens is None:
        return differences
    return token_differences(found_tokens, expected_tokens)


def fingerprint(
    source_dict_path: str | Path,
    target_dict_path: str | Path,
    source_sizes: np.ndarray,
    target_sizes: np.ndarray,
) -> Fingerprint:
    """Fingerprint of a data set as fairseq loads it.

    Args:
        source_dict_path, target_dict_path: ``dict.<lang>.txt`` files.
        source_sizes, target_sizes: integers (rows,), tokens of each sentence, EOS included:
            fairseq's ``dataset.src_sizes`` and ``dataset.tgt_sizes``.

    Raises:
        FeatureError: a dictionary is missing, or the two sides differ in length.
    """
    if len(source_sizes) != len(target_sizes):
        raise FeatureError(
            f"source and target must have the same number of sentences: found "
            f"{len(source_sizes)} and {len(target_sizes)}; run fairseq-preprocess again"
        )
    digest = hashlib.sha256()
    for sizes in (source_sizes, target_sizes):
        for start in range(0, len(sizes), _HASH_ROWS):
            digest.update(np.asarray(sizes[start : start + _HASH_ROWS], dtype="<i4").tobytes())
    return Fingerprint(
        rows=len(source_sizes),
        source_dict=_sha256_of_dictionary(source_dict_path),
        target_dict=_sha256_of_dictionary(target_dict_path),
        sizes=digest.hexdigest(),
    )


def _sha256_of_dictionary(path: str | Path) -> str:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise FeatureError(
            f"cannot read dictionary {path} ({error.strerror}): expected the dict.<lang>.txt that "
            "fairseq-preprocess writes into its --destdir"
        ) from error


def sha256_of_file(path: str | Path, done: Callable[[int], object] = lambda size: None) -> str:
    """sha256 of a file's bytes, read in pieces; ``done`` is called with the size of each."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for piece in iter(lambda: file.read(1 << 18), b""):
            digest.update(piece)
            done(len(piece))
    return digest.hexdigest()


_State = Tuple[Any, ...]  # path of a file, and attributes that change with its content
_hashed: dict[_State, str] = {}
_taken: dict[tuple[_State, ...], Fingerprint] = {}


def _state(path: Path) -> _State:
    s = os.stat(path)
    return str(path), s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns


def fingerprint_of_files(
    dictionaries: Sequence[Path], sides: Sequence[BinarizedSide]
) -> Fingerprint:
    """Take the `fingerprint` of a data-bin, once in a process.

    It is taken again if a dictionary or an index was changed or replaced since.

    Args:
        dictionaries, sides: of source and target

    Raises:
        FeatureError: as `fingerprint`
    """
    source, target = dictionaries
    sizes = sides[0].sizes, sides[1].sizes
    try:
        key = tuple(map(_state, (source, target, sides[0].index_path, sides[1].index_path)))
    except OSError:
        return fingerprint(source, target, *sizes)  # its error names the dictionary
    if key not in _taken:
        _taken[key] = fingerprint(source, target, *sizes)
    return _taken[key]


def sha256_of_files(
    paths: Sequence[Path], expected: str = f"the tokens that fairseq-preprocess wrote; {MEND}"
) -> list[str]:
    """sha256 of the bytes of each file, read in parallel, once in a process.

    A file that was changed or replaced since is read again.

    Args:
        paths: of the files
        expected: what they hold and how to mend them, for error messages

    Raises:
        FeatureError: a file cannot be read
    """
    try:
        keys = [_state(path) for path in paths]
        missing = [(key, path) for key, path in zip(keys, paths) if key not in _hashed]
        with ThreadPoolExecutor(2) as pool:  # hashlib releases the interpreter's lock
            for (key, _), digest in zip(
                missing, pool.map(sha256_of_file, [path for _, path in missing])
            ):
                _hashed[key] = digest
    except OSError as error:
        raise FeatureError(
            f"cannot read {error.filename} ({error.strerror}), expected {expected}"
        ) from error
    return [_hashed[key] for key in keys]
