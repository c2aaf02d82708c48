"""Splits of a user's own noisy corpus, from two files of text."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from pathlib import Path

from preprocess.clean import Report, clean_pairs, parallel
from preprocess.text import UserError
from recipes.common.data import sha256_of
from recipes.compare.corpora import KEEP_NOISE
from recipes.compare.splits import Pair, Pairs, Splits, by_source, finish, normalised

VALID, TEST = 500, 1000  # pairs, where they are drawn
LANGUAGE = re.compile(r"[A-Za-z_]+")


@dataclass(frozen=True)
class Own:
    """Files of a user's corpus, one sentence per line, in two languages.

    Attributes:
        train, valid, test: source and target; None: drawn from `train` at random
        langs: source and target
    """

    train: tuple[Path, Path]
    valid: tuple[Path, Path] | None
    test: tuple[Path, Path] | None
    langs: tuple[str, str]

    def settings(self) -> dict[str, object]:
        """Settings of the step: languages and hashes of the files, by split."""
        files = {"train": self.train, "valid": self.valid, "test": self.test}
        return {
            name: [*self.langs, *map(sha256_of, paths)] for name, paths in files.items() if paths
        }

    def split(self) -> Splits:
        """Return the splits; valid and test drawn at random are as noisy as the rest.

        They are drawn from pairs that can be trained on, since fairseq refuses overlong ones.
        """
        valid, test = _read(self.valid), _read(self.test)
        counts = 0 if valid else VALID, 0 if test else TEST
        report = Report()
        usable = clean_pairs(parallel(*self.train), KEEP_NOISE, report)
        drawn = by_source([Pair(*sides) for sides in usable], *counts)
        if any(counts):
            print(
                f"drawn from the training pairs at random: {counts[0]} for valid and {counts[1]} "
                f"for test; they are as noisy as the rest, so BLEU on them is too low",
                flush=True,
            )
        splits = Splits(drawn.train, valid or drawn.valid, test or drawn.test)
        splits.dropped = drawn.dropped + report.dropped
        return finish(splits, KEEP_NOISE)


def _read(paths: tuple[Path, Path] | None) -> Pairs:
    return normalised(Pair(*sides) for sides in parallel(*paths)) if paths else []


def own_of(options: argparse.Namespace) -> Own | None:
    """Return the corpus that the command line names, or None.

    Raises:
        UserError: one of two files or a language is missing
    """
    given = {name: _both(options, name) for name in ("", "valid_", "test_")}
    langs = options.source_lang, options.target_lang
    train = given[""]
    if train is None:
        if any(langs) or any(given.values()):
            raise UserError(
                "found no --source and --target; expected the training text too: give both, or "
                "none of these flags for the mix of this recipe"
            )
        return None
    if not all(langs) or langs[0] == langs[1]:
        raise UserError(
            f"found the languages {langs[0]} and {langs[1]}; expected two: give --source-lang en "
            f"--target-lang de, say"
        )
    for lang in langs:
        if not LANGUAGE.fullmatch(lang):
            raise UserError(f"found the language {lang!r}; expected letters: give en, de, pt_BR")
    for path in (path for paths in given.values() if paths for path in paths):
        if not path.is_file():
            raise UserError(f"found no file {path}; expected text, one sentence a line: name it")
    return Own(train, given["valid_"], given["test_"], langs)


def _both(options: argparse.Namespace, part: str) -> tuple[Path, Path] | None:
    source, target = (getattr(options, f"{part}{side}") for side in ("source", "target"))
    if (source is None) != (target is None):
        missing = "source" if source is None else "target"
        raise UserError(
            f"found one side alone; expected two files, one sentence a line each: give "
            f"--{part.replace('_', '-')}{missing} too"
        )
    return None if source is None else (source, target)
