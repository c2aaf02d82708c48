"""The sentences that SentencePiece is given: white space made plain, and those left out counted.

Pieces are told apart by white space, of any kind for fairseq, and to it a carriage return ends a
line: what of it a model would keep inside its pieces becomes a space before.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Callable, Iterable, Iterator, Sequence

from preprocess.text import read_lines


def _one_of(signs: Iterable[str]) -> re.Pattern[str]:
    """What finds these characters; none of them: what finds nothing."""
    inside = "".join(map(re.escape, signs))
    return re.compile(f"[{inside}]" if inside else "(?!)")


SPACES = [sign for sign in map(chr, range(0x3001)) if sign.isspace() and sign != " "]
SPACE = _one_of(SPACES)
NMT_SPACE = _one_of("\x85")  # what the rules of nmt_ leave: they see to the others themselves


def spaces_in_pieces(encode: Callable[[str], Sequence[str]]) -> re.Pattern[str]:
    """Find the white space that a model, given by how it encodes text, keeps inside its pieces."""
    return _one_of(sign for sign in SPACES if any(map(str.isspace, "".join(encode(f"a{sign}b")))))


class Lines:
    """The lines of all inputs, what ended them early, and those that SentencePiece leaves out.

    SentencePiece turns whatever its iterator raises, Ctrl-C too, into a RuntimeError of its own.
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
        """One line on what was left out."""
        if not self.too_long:
            return None
        return (
            f"SentencePiece left out {self.too_long} of {self.seen} lines, longer than "
            f"{self.max_bytes} bytes; expected sentences: cut them, or take them in with "
            f"--max-line-bytes {self.longest}"
        )
