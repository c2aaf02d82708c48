"""Likely cause of unknown tokens in encoded text, found in the text itself."""

from __future__ import annotations

import math
import re
import shlex
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from preprocess.spm import MAX_LINE_BYTES, load
from preprocess.text import UserError, read_lines

SPACE = "▁"  # SentencePiece's sign for a space
BYTE = re.compile(r"<0x[0-9A-F]{2}>")  # a piece of --byte-fallback
OWN = frozenset(("<s>", "<pad>", "</s>", "<unk>"))  # symbols of every fairseq dictionary
TRIED = 1000  # lines with unknown tokens that are encoded again, to test the model
SHOWN = 5  # examples in a message


def check_limit(percent: float) -> None:
    """Raise UserError unless the limit is a percentage."""
    if not 0 <= percent <= 100:
        raise UserError(f"--max-unknown is {percent}; expected a percentage, 0 to 100")


@dataclass
class Seen:
    """Tokens of a file of encoded text that its model has no piece for."""

    unknown: Counter[str] = field(default_factory=Counter)  # by token
    characters: Counter[str] = field(default_factory=Counter)  # that no piece of the model has
    encoded: bool = False  # whether any token is SentencePiece's
    tried: int = 0
    same: int = 0  # of the tried lines, those that the model cuts the same way
    long_lines: int = 0  # lines with unknown tokens, too long for SentencePiece's training
    in_long_lines: int = 0  # tokens unknown there
    longest: int = 0  # bytes

    @property
    def total(self) -> int:
        """Number of unknown tokens."""
        return sum(self.unknown.values())


def look(path: Path, model: Path) -> Seen:
    """Compare encoded text with the model that should have encoded it."""
    processor = load(model)
    pieces = {processor.id_to_piece(i) for i in range(processor.get_piece_size())} | OWN
    letters = {sign for piece in pieces - OWN if not BYTE.fullmatch(piece) for sign in piece}
    seen = Seen()
    for line in read_lines(path):
        tokens = line.split()
        seen.encoded = seen.encoded or SPACE in line
        unknown = [token for token in tokens if token not in pieces]
        if not unknown:
            continue
        seen.unknown.update(unknown)
        seen.characters.update(sign for token in unknown for sign in token if sign not in letters)
        text = "".join(tokens).replace(SPACE, " ")
        size = len(text.strip().encode())
        if size > MAX_LINE_BYTES:
            seen.long_lines += 1
            seen.in_long_lines += len(unknown)
            seen.longest = max(seen.longest, size)
        if seen.tried < TRIED:
            seen.tried += 1
            seen.same += processor.encode(text, out_type=str) == tokens
    return seen


def _most(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common(SHOWN))


def cause(seen: Seen, path: Path, model: Path, percent: float) -> str:
    """Likely cause and its remedy, as the end of a message."""
    if not seen.encoded:
        names = f"--model {shlex.quote(str(model))} --input TEXT --output {shlex.quote(str(path))}"
        return (
            f"it holds no {SPACE}, so is not encoded: run `python -m preprocess.spm encode {names}`"
        )
    if 2 * seen.same < seen.tried:
        return (
            f"most often {_most(seen.unknown)}, and {model} cuts {seen.tried - seen.same} of "
            f"{seen.tried} such lines otherwise: give the model that it was encoded with by "
            f"--source-model, or --target-model where the two sides have one each"
        )
    told = f"{model} is the one that it was encoded with, but has no piece for "
    told += _most(seen.characters) or _most(seen.unknown)
    if 2 * seen.in_long_lines > seen.total:
        told += (
            f"; most of them are in {seen.long_lines} lines of more than {MAX_LINE_BYTES} bytes, "
            f"which `python -m preprocess.spm train` learns from only with --max-line-bytes "
            f"{seen.longest}"
        )
    return (
        f"{told}: train it on text that has them (and --coverage 1), or with --byte-fallback, or "
        f"continue with --max-unknown {min(100, math.ceil(percent))}"
    )


def refuse_unknown(folder: Path, models: dict[str, Path], most: float) -> None:
    """Refuse text if more than `most` percent of a file's tokens have become <unk>.

    Args:
        folder: the data-bin, with fairseq-preprocess's log
        models: SentencePiece model of each language

    Raises:
        UserError: a file has more; the message names the likely cause
    """
    for line in read_lines(folder / "preprocess.log"):
        told = re.search(r"\[(\S+)\] (.+): \d+ sents, .* (\S+)% replaced", line)
        if told and float(told[3]) > most:
            path, model = Path(told[2]), models[told[1]]
            raise UserError(
                f"{told[3]}% of the {told[1]} tokens of {path} are unknown to its dictionary; "
                f"expected at most {most:g}%: "
                f"{cause(look(path, model), path, model, float(told[3]))}"
            )
