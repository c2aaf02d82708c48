"""Sentences for SentencePiece's training: white space made plain, and skipped lines counted.

fairseq splits pieces at any white space, and ends a line at a carriage return. So white space that
a model would keep inside its pieces is replaced by a space first.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Callable, Iterable, Iterator, Sequence

from preprocess.text import read_lines


def _one_of(signs: Iterable[str]) -> re.Pattern[str]:
    """Compile a pattern that finds these characters; without any it finds nothing."""
    inside = "".join(map(re.escape, signs))
    return re.compile(f"[{inside}]" if inside else "(?!)")


SPACES = [sign for sign in map(chr, range(0x3001)) if sign.isspace() and sign != " "]
SPACE = _one_of(SPACES)
NMT_SPACE = _one_of("\x85")  # the only white space that the nmt_ rules leave


def spaces_in_pieces(encode: Callable[[str], Sequence[str]]) -> re.Pattern[str]:
    """Compile a pattern of the white space that a model keeps inside its pieces."""
    return _one_of(sign for sign in SPACES if any(map(str.isspace, "".join(encode(f"a{sign}b")))))


class Lines:
    """Lines of all inputs, the error that ended them, and counts of those left out.

    The error is kept, since SentencePiece turns every one, Ctrl-C too, into a RuntimeError.
    """

    def __init__(self, inputs: Sequence[Path], normalization: str, max_bytes: int) -> None:
        self.inputs = inputs
        self.spaces = NMT_SPACE if normalization.startswith("nmt_") else SPACE
        self.max_bytes = max_bytes
        self.failure: BaseException | None = None
        self.seen = self.too_long = self.longest = 0

    def __iter__(self) -> Iterator[str]:
        try:
            for path in self.inputs:
                for raw in read_lines(path):
                    line = self.spaces.sub(" ", raw)
                    self._count(len(line.encode()))
                    yield line
        except GeneratorExit:
            raise
        except BaseException as error:
            self.failure = error
            raise

    def _count(self, size: int) -> None:
        self.seen += 1
        if size > self.max_bytes:
            self.too_long += 1
            self.longest = max(self.longest, size)

    @property
    def warning(self) -> str | None:
        """Warning of one line about lines that were left out; None: there are none."""
        if not self.too_long:
            return None
        return (
            f"SentencePiece left out {self.too_long} of {self.seen} lines, longer than "
            f"{self.max_bytes} bytes; expected sentences: cut them, or take them in with "
            f"--max-line-bytes {self.longest}"
        )
