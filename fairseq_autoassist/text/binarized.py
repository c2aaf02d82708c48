"""Reader of data-bins of fairseq-preprocess, without an import of fairseq, which takes seconds.

The mmap format: ``.idx`` = magic, version, dtype code, number of sentences, sizes (int32), byte
offsets (int64); ``.bin`` = all tokens in one run, EOS included. fairseq's own reader is not
used: it unmaps its file when it is deleted, and a view that outlives it crashes the interpreter.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..errors import FeatureError

SPECIAL_SYMBOLS = 4  # <s>, <pad>, </s>, <unk>: fairseq.data.Dictionary, always the first ids
UNKNOWN = 3  # id of <unk>
_MMAP_MAGIC = b"MMIDIDX\x00\x00"
_OTHER_MAGIC = {b"TNTIDX\x00\x00": "lazy or cached", b"HUFFIDX\x00": "huffman"}
_HEADER = struct.Struct("<9sQBQ")
_DTYPES = {1: "u1", 2: "i1", 3: "<i2", 4: "<i4", 5: "<i8", 8: "<u2", 9: "<u4", 10: "<u8"}
MEND = "run fairseq-preprocess again with --dataset-impl mmap (its default)"


class BinarizedSide:
    """One side of a data set in fairseq's mmap format.

    Attributes:
        sizes: int32 (rows,), tokens of each sentence, EOS included; mapped from the ``.idx``.
        dtype: of the tokens.
        tokens: number of tokens.
    """

    def __init__(self, prefix: str | Path) -> None:
        """``prefix`` is the path without ``.idx``/``.bin``.

        Raises:
            FeatureError: files missing, of another format or version, truncated, or empty.
        """
        self.prefix = Path(prefix)
        self.index_path = Path(f"{prefix}.idx")
        self.data_path = Path(f"{prefix}.bin")
        rows, self.dtype = self._read_header()
        wanted = _HEADER.size + 12 * rows
        found = self.index_path.stat().st_size
        if found != wanted:
            raise FeatureError(
                f"{self.index_path} is damaged: found {found} bytes, expected {wanted} for "
                f"{rows} sentences; {MEND}"
            )
        if rows == 0:
            raise FeatureError(
                f"{self.prefix} holds no sentences: expected at least one; give "
                "fairseq-preprocess text files that are not empty"
            )
        self.sizes = np.memmap(self.index_path, "<i4", "r", _HEADER.size, (rows,))
        self._offsets = np.memmap(self.index_path, "<i8", "r", _HEADER.size + 4 * rows, (rows,))
        end = int(self._offsets[-1]) + int(self.sizes[-1]) * self.dtype.itemsize
        found = self.data_path.stat().st_size if self.data_path.exists() else -1
        if found != end:
            raise FeatureError(
                f"{self.data_path} is {'missing' if found < 0 else 'damaged'}: "
                f"found {max(found, 0)} bytes, expected {end}; {MEND}"
            )
        self.tokens = end // self.dtype.itemsize

    def _read_header(self) -> tuple[int, np.dtype]:
        try:
            with open(self.index_path, "rb") as file:
                head = file.read(_HEADER.size)
        except FileNotFoundError as error:
            if self.prefix.exists():  # fairseq names raw text exactly so
                raise FeatureError(
                    f"{self.prefix} is data of --dataset-impl raw, expected mmap; {MEND}"
                ) from error
            raise FeatureError(f"{self.index_path} not found; {MEND}") from error
        except OSError as error:
            raise FeatureError(
                f"{self.index_path} cannot be read ({error.strerror}); {MEND}"
            ) from error
        if not head.startswith(_MMAP_MAGIC):
            kind = _OTHER_MAGIC.get(head[:8])
            found = f"data of --dataset-impl {kind}" if kind else "not an index of fairseq"
            raise FeatureError(f"{self.index_path} is {found}, expected mmap; {MEND}")
        if len(head) < _HEADER.size:
            raise FeatureError(f"{self.index_path} is truncated in its header; {MEND}")
        _, version, code, rows = _HEADER.unpack(head)
        if version != 1 or code not in _DTYPES:
            raise FeatureError(
                f"{self.index_path}: found version {version} and dtype code {code}, expected "
                f"version 1 and one of {sorted(_DTYPES)}; {MEND}"
            )
        return rows, np.dtype(_DTYPES[code])

    def read(
        self, start: int, stop: int, types: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Read tokens (n,) of sentences [start, stop) in one run, and offsets int64 (n_rows + 1,).

        Args:
            types: size of the dictionary; None: it is not compared with the tokens

        Raises:
            FeatureError: the index's offsets do not follow from its sizes, or a token is not in the
                dictionary.
        """
        offsets = np.zeros(stop - start + 1, dtype=np.int64)
        np.cumsum(self.sizes[start:stop], dtype=np.int64, out=offsets[1:])
        first = int(self._offsets[start])
        if not np.array_equal(
            self._offsets[start:stop], first + offsets[:-1] * self.dtype.itemsize
        ):
            raise FeatureError(f"{self.index_path} is damaged: offsets do not match sizes; {MEND}")
        # Read, not mapped, so that the process holds the chunk only.
        with open(self.data_path, "rb") as file:
            file.seek(first)
            tokens = read_array(file, self.dtype, int(offsets[-1]))
        if types is not None and tokens.size and not 0 <= tokens.min() <= tokens.max() < types:
            raise FeatureError(
                f"{self.data_path}: found token ids {tokens.min()} to {tokens.max()}, expected 0 "
                f"to {types - 1} from its dictionary; run fairseq-preprocess again"
            )
        return tokens, offsets


def read_array(file: BinaryIO, dtype: Any, count: int) -> np.ndarray:
    """Read ``count`` values (count,) from the position of ``file``.

    numpy's fromfile and tofile are avoided: they turn a signal handler's exception (Ctrl-C,
    SIGTERM) into a TypeError.

    Raises:
        FeatureError: the file ends before.
    """
    values = np.empty(count, dtype)
    found = file.readinto(values.data)  # type: ignore[attr-defined]
    if found != values.nbytes:
        raise FeatureError(f"{file.name} ended while being read: is something else writing it?")
    return values


def dictionary_size(path: str | Path) -> int:
    """Give ``len(fairseq.data.Dictionary.load(path))``: four special symbols and one a line.

    A repeated word needs fairseq's ``#fairseq:overwrite`` flag, and has a new id as well.

    Raises:
        FeatureError: the file is missing, or fairseq would refuse it.
    """
    try:
        # Iterating splits as fairseq's readlines() does; str.splitlines() would split at U+2028.
        with open(path, encoding="utf-8") as file:
            lines = list(file)
    except (OSError, UnicodeError) as error:
        raise FeatureError(
            f"cannot read dictionary {path}: {error}; expected the dict.<lang>.txt that "
            "fairseq-preprocess writes"
        ) from error
    for number, line in enumerate(lines, 1):
        word, _, count = line.rstrip().rpartition(" ")
        if count == "#fairseq:overwrite":
            word, _, count = word.rpartition(" ")
        if not word or not count.lstrip("-").isdecimal():
            raise FeatureError(
                f"{path}, line {number}: found {line.strip()!r}, expected '<token> <count>'; "
                "run fairseq-preprocess again"
            )
    return SPECIAL_SYMBOLS + len(lines)
