"""Reader of a user's own scores of pairs, with all checks."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Iterator
from zipfile import BadZipFile

import numpy as np

from ..errors import ConfigError
from ..options import flag

_LINES = 1 << 16  # lines read at once
_SHOWN = 60  # characters of a bad line in its message


def read_scores(path: Path, pairs: int, data_bin: str) -> np.ndarray:
    """Read scores from a ``.npy`` file of one dimension, or from text with one number a line.

    Args:
        path: of the file
        pairs: number of scores that are expected
        data_bin: of these pairs, for error messages

    Returns:
        float32 (pairs,), each in [0, 1]

    Raises:
        ConfigError: the file cannot be read, has another number of scores, or a score outside
            [0, 1]. The message names the file and the first such line or index.
    """
    try:
        scores = _from_numpy(path) if path.suffix == ".npy" else _from_text(path, pairs, data_bin)
    except OSError as error:
        raise _refused(
            f"{path}: {error.strerror or error}", "a file of scores, a number a pair"
        ) from error
    if len(scores) != pairs:
        unit = "values" if path.suffix == ".npy" else "lines"
        raise _other_number(path, f"{len(scores)} {unit}", pairs, data_bin)
    return scores


def _from_numpy(path: Path) -> np.ndarray:
    try:
        found = np.load(path, allow_pickle=False)
        if not isinstance(found, np.ndarray):
            found.close()
            raise ValueError("an archive of several arrays")
    except (ValueError, EOFError, BadZipFile) as error:
        reason = " ".join(str(error).split())
        raise _refused(
            f"{path} is no array of numpy's ({reason})", "what numpy.save writes"
        ) from error
    if found.ndim != 1 or found.dtype.kind not in "fiub":
        raise _refused(
            f"{path}: found an array of {found.dtype} with shape {found.shape}",
            "numbers with shape (pairs,)",
        )
    bad = _outside(found)
    if len(bad):
        raise _no_score(f"{path}, index {bad[0]}", str(found[bad[0]]))
    return found.astype(np.float32)


def _from_text(path: Path, pairs: int, data_bin: str) -> np.ndarray:
    parts = [np.empty(0, np.float32)]
    with open(path, encoding="utf-8", errors="replace") as lines:
        for start, part in _in_parts(lines):
            if start >= pairs:  # too many: the values of the others do not matter
                count = start + len(part) + sum(1 for _ in lines)
                raise _other_number(path, f"{count} lines", pairs, data_bin)
            values = _numbers(part)
            bad = _outside(values)
            if len(bad):
                raise _no_score(f"{path}, line {start + bad[0] + 1}", _shown(part[bad[0]]))
            parts.append(values.astype(np.float32))
    return np.concatenate(parts)


def _in_parts(lines: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
    """Give lines in parts, each with the number of lines before it."""
    start = 0
    while True:
        part = list(itertools.islice(lines, _LINES))
        if not part:
            return
        yield start, part
        start += len(part)


def _numbers(lines: list[str]) -> np.ndarray:
    """Parse one number a line, float64; NaN for anything else."""
    try:
        return np.array(lines, dtype=np.float64)
    except ValueError:
        return np.array([_number(line) for line in lines], dtype=np.float64)


def _number(line: str) -> float:
    try:
        return float(line)
    except ValueError:
        return float("nan")


def _shown(line: str) -> str:
    """Quote a line, or its beginning: a line of a compressed file may be megabytes long."""
    text = line.strip()
    return repr(text) if len(text) <= _SHOWN else f"{text[:_SHOWN]!r} ..."


def _outside(values: np.ndarray) -> np.ndarray:
    """Indices of values that are not in [0, 1], NaN among them."""
    return np.flatnonzero(~((values >= 0) & (values <= 1)))


def _refused(found: str, expected: str) -> ConfigError:
    return ConfigError(
        f"{flag('prior')} {found}, expected {expected}; to train without: {flag('prior')} none"
    )


def _no_score(place: str, found: str) -> ConfigError:
    return _refused(f"{place}: found {found}", "a number from 0 to 1")


def _other_number(path: Path, found: str, pairs: int, data_bin: str) -> ConfigError:
    return _refused(f"{path}: found {found}", f"{pairs}, one for each pair of {data_bin}")
