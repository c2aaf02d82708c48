"""Drop sentence pairs that would hurt training, and count them by reason.

    python -m preprocess.clean --source train.en.gz --target train.de.gz \\
        --out-source clean/train.en --out-target clean/train.de

A pair is dropped where a side is empty or overlong, or where no translation has such lengths. Finer
choices are left to a strategy or to the user.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Iterable, Iterator

from tqdm import tqdm

from preprocess.lengths import is_blank, words
from preprocess.text import UserError, exit_on_signals, read_lines, whole_files

TEXT = "text; .gz, .xz and .bz2 are fine"


@dataclass(frozen=True)
class Limits:
    """Limits of the lengths of a pair, in words as `preprocess.lengths` counts them."""

    max_words: int = 175  # either side; fairseq's own clean-corpus-n limit for IWSLT14
    max_ratio: float = 3.0  # longer side / shorter side, in words
    ratio_from: int = 8  # words of the longer side, from which the ratio counts
    # Whether all that stands between spaces is a word, in text that is cut into words or pieces.
    # It is left out of the repr, which names the steps of a recipe: their alphabets have spaces.
    spaced: bool = field(default=False, repr=False)

    def __post_init__(self) -> None:
        if self.max_words < 1:
            raise UserError(f"--max-words is {self.max_words}; expected 1 or more")
        if not self.max_ratio >= 1:
            raise UserError(f"--max-ratio is {self.max_ratio}; expected 1 or more")


ADVICE = {  # for a rule that drops most of a corpus
    "empty": "look whether one of the files is the other's translation at all",
    "too long": "look whether a line is one sentence, or give a larger --max-words",
    "length ratio": "look whether the lines of the files go together, or give a larger --max-ratio",
}


@dataclass
class Report:
    """Counts of pairs: each is kept, or dropped for the first reason that applies."""

    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)

    @property
    def seen(self) -> int:
        """Number of pairs read, kept or dropped."""
        return self.kept + sum(self.dropped.values())

    @property
    def warning(self) -> str | None:
        """Warning of one line about a rule that drops most pairs; None: there is no such rule."""
        if not self.dropped:
            return None
        (reason, count), *_ = self.dropped.most_common(1)
        if 2 * count <= self.seen:
            return None
        dropped = f"{count} of {self.seen} pairs were dropped as {reason!r}"
        return f"{dropped}; expected few: {ADVICE[reason]}"

    def __str__(self) -> str:
        reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(self.dropped.items()))
        return f"{self.seen} pairs read, {self.kept} kept, dropped: {reasons or 'none'}"


def normalise(line: str) -> str:
    """Put one space between words and none at the ends; any Unicode space counts."""
    return " ".join(line.split())


def reason_to_drop(source: str, target: str, limits: Limits) -> str | None:
    """Return why a normalised pair is dropped, or None to keep it."""
    if is_blank(source) or is_blank(target):
        return "empty"
    if limits.spaced:
        shorter, longer = sorted((len(source.split()), len(target.split())))
    else:
        shorter, longer = sorted((words(source), words(target)))
    if longer > limits.max_words:
        return "too long"
    if longer >= limits.ratio_from and longer > limits.max_ratio * shorter:
        return "length ratio"
    return None


def clean_pairs(
    pairs: Iterable[tuple[str, str]], limits: Limits, report: Report
) -> Iterator[tuple[str, str]]:
    """Yield the normalised pairs that pass; `report` counts all of them."""
    for raw_source, raw_target in pairs:
        source, target = normalise(raw_source), normalise(raw_target)
        reason = reason_to_drop(source, target, limits)
        if reason is None:
            report.kept += 1
            yield source, target
        else:
            report.dropped[reason] += 1


def parallel(source: Path, target: Path) -> Iterator[tuple[str, str]]:
    """Yield the pairs of two files line by line; refuse files of different length."""
    for number, (left, right) in enumerate(zip_longest(read_lines(source), read_lines(target)), 1):
        if left is None or right is None:
            short, long = (source, target) if left is None else (target, source)
            raise UserError(
                f"{short} ends after {number - 1} lines but {long} goes on; expected two files "
                f"with one line a pair: align them again from the corpus they came from"
            )
        yield left, right


def clean_files(
    source: Path, target: Path, out_source: Path, out_target: Path, limits: Limits
) -> Report:
    """Clean one corpus; write both outputs whole or not at all."""
    report = Report()
    with whole_files(out_source, out_target) as (left, right):
        pairs = tqdm(parallel(source, target), desc="clean", unit=" pairs", unit_scale=True)
        for source_line, target_line in clean_pairs(pairs, limits, report):
            left.write(source_line + "\n")
            right.write(target_line + "\n")
        if report.kept == 0:
            raise UserError(
                f"nothing left of {source} and {target}: {report}; expected some pairs: "
                f"check the files, or loosen --max-words and --max-ratio"
            )
    if report.warning:
        print(f"warning: {report.warning}", file=sys.stderr, flush=True)
    return report


def main(arguments: list[str] | None = None) -> None:
    """Write the cleaned pair of files that the command line names; print the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--source", type=Path, required=True, help=TEXT)
    parser.add_argument("--target", type=Path, required=True, help=TEXT)
    parser.add_argument("--out-source", type=Path, required=True)
    parser.add_argument("--out-target", type=Path, required=True)
    parser.add_argument("--max-words", type=int, default=Limits.max_words)
    parser.add_argument("--max-ratio", type=float, default=Limits.max_ratio)
    parser.add_argument(
        "--spaced",
        action="store_true",
        help="text is cut into words or pieces already: count these, in any script",
    )
    options = parser.parse_args(arguments)
    limits = Limits(options.max_words, options.max_ratio, spaced=options.spaced)
    print(
        clean_files(options.source, options.target, options.out_source, options.out_target, limits)
    )


if __name__ == "__main__":
    exit_on_signals()
    main()
