"""Train SentencePiece and encode text with it.

    python -m preprocess.spm train --input clean/train.en clean/train.de --model spm --vocab 6000
    python -m preprocess.spm encode --model spm.model --input clean/train.en --output enc/train.en

Several inputs make one joint vocabulary; for separate vocabularies, train twice. The same text
gives the same model on every machine.
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Iterator

import sentencepiece
from tqdm import tqdm

from preprocess.lengths import is_blank
from preprocess.sentences import Lines, spaces_in_pieces
from preprocess.text import (
    UserError,
    exit_on_signals,
    held,
    read_lines,
    staging,
    whole_files,
    with_parents,
    writing,
)

# Settings that no option changes; the trainer's sums depend on its number of threads.
FIXED: dict[str, Any] = {
    "num_threads": 4,
    "unk_id": 0,
    "bos_id": -1,
    "eos_id": -1,
    "pad_id": -1,
    "minloglevel": 2,
}
ENCODE_CHUNK = 10_000  # lines; bounds memory, long enough for SentencePiece's own threads


# Only identity loses nothing. nfkc rewrites full-width signs and fractions. _cf folds capitals.
# nmt_ turns invisible characters, which the spelling of Persian and Hindi has, into spaces.
NORMALIZATIONS = ("identity", "nfkc", "nmt_nfkc", "nfkc_cf", "nmt_nfkc_cf")
LEAST_COVERAGE = 0.98  # SentencePiece's own limit
MAX_LINE_BYTES = 4192  # SentencePiece's own default


def train(
    inputs: list[Path],
    model: Path,
    vocab: int,
    kind: str = "unigram",
    coverage: float = 1.0,
    *,
    normalization: str = NORMALIZATIONS[0],
    byte_fallback: bool = False,
    max_line_bytes: int = MAX_LINE_BYTES,
) -> Path:
    """Train one joint model over `inputs`; return the path of the .model file.

    The model has no symbols for begin, end and padding: fairseq's dictionary adds them.

    Args:
        inputs: text, one sentence a line
        model: prefix of the files .model and .vocab
        vocab: number of pieces, with <unk>
        kind: unigram or bpe
        coverage: share of the text's characters that get pieces: 1 for alphabets, so that no
            character becomes <unk>; less for thousands of signs, as in Japanese
        normalization: one of `NORMALIZATIONS`; it applies to all text before it is cut
        byte_fallback: characters without a piece become bytes, which takes 256 pieces
        max_line_bytes: longer lines are left out

    Raises:
        UserError: `model` is no prefix or cannot be written, an option is out of range, or
            SentencePiece refuses the text or the size
    """
    _check(model, vocab, coverage, normalization, max_line_bytes)
    target = _file_of(model)
    with ExitStack() as stack:
        with writing(target):
            stack.enter_context(with_parents(target))
        folder = stack.enter_context(staging(target.parent / f".{model.name}.spm"))
        stack.enter_context(held(folder))
        lines = Lines(inputs, normalization, max_line_bytes)
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(lines),
                model_prefix=str(folder / "spm"),
                vocab_size=vocab,
                model_type=kind,
                character_coverage=coverage,
                normalization_rule_name=normalization,
                byte_fallback=byte_fallback,
                max_sentence_length=max_line_bytes,
                **FIXED,
            )
        except RuntimeError as error:
            if lines.failure is not None:
                raise lines.failure from None
            raise _refusal(lines, vocab, " ".join(str(error).split())) from error
        with writing(target):
            _put_in_place(folder / "spm", model)
    if lines.warning:
        print(f"warning: {lines.warning}", file=sys.stderr, flush=True)
    return target


def _put_in_place(made: Path, model: Path) -> None:
    """Rename the files of one prefix; the model last, since other steps wait for it."""
    for suffix in (".vocab", ".model"):
        os.replace(f"{made}{suffix}", model.with_name(model.name + suffix))


def _check(
    model: Path, vocab: int, coverage: float, normalization: str, max_line_bytes: int
) -> None:
    """Refuse in one line options that SentencePiece would refuse late, or not at all."""
    if model.suffix == ".model":
        raise UserError(
            f"--model is {model}; expected a prefix, to which .model and .vocab are added: give "
            f"--model {model.with_suffix('')}"
        )
    if vocab < 1:
        raise UserError(f"--vocab is {vocab}; expected 1 or more")
    if not LEAST_COVERAGE <= coverage <= 1:
        raise UserError(
            f"--coverage is {coverage}; expected {LEAST_COVERAGE} to 1: give 0.9995, say, for "
            f"Japanese or Chinese, else leave it out"
        )
    if normalization not in NORMALIZATIONS:
        raise UserError(
            f"--normalization is {normalization}; expected one of {', '.join(NORMALIZATIONS)}"
        )
    if max_line_bytes < 1:
        raise UserError(f"--max-line-bytes is {max_line_bytes}; expected 1 or more")


def _file_of(prefix: Path) -> Path:
    return prefix.with_name(prefix.name + ".model")


def _refusal(lines: Lines, vocab: int, reason: str) -> UserError:
    """Error with the reason of SentencePiece's refusal, and advice."""
    if "sentences_.empty()" in reason:
        if lines.warning:
            return UserError(lines.warning)
        named = ", ".join(map(str, lines.inputs))
        return UserError(f"found no text in {named}; expected sentences, one a line")
    if "ocabulary size" in reason:
        return UserError(
            f"SentencePiece refused a vocabulary of {vocab} pieces ({reason}); "
            f"expected a size that the text can fill: give another --vocab, or more text"
        )
    return UserError(f"SentencePiece failed ({reason}); look for space on the disk of --model")


def _train(model: Path) -> str:
    prefix = model.with_suffix("") if model.suffix == ".model" else model
    return f"`python -m preprocess.spm train --input TEXT ... --model {prefix}`"


def load(model: Path) -> sentencepiece.SentencePieceProcessor:
    """Load a model; refuse a missing or damaged file in one line."""
    if not model.is_file():
        whole = _file_of(model)
        if whole.is_file():
            raise UserError(f"found no SentencePiece model {model}; expected a file: give {whole}")
        then = "" if model.suffix == ".model" else f", then give {whole}"
        raise UserError(f"found no SentencePiece model {model}; make it with {_train(model)}{then}")
    try:
        return sentencepiece.SentencePieceProcessor(model_file=str(model))
    except (RuntimeError, OSError) as error:
        raise UserError(
            f"{model} is not a SentencePiece model; make it again with {_train(model)}"
        ) from error


def _chunks(path: Path) -> Iterator[list[str]]:
    chunk: list[str] = []
    for line in read_lines(path):
        chunk.append(line)
        if len(chunk) == ENCODE_CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def encode(model: Path, source: Path, output: Path) -> int:
    """Write `source` as space-separated pieces, line by line; return the number of pieces.

    Blank lines are counted on standard error. They stay, so that both sides keep their lines.
    """
    processor = load(model)
    spaces = spaces_in_pieces(lambda text: processor.encode(text, out_type=str))
    total = number = 0
    empty: list[int] = []  # lines
    with whole_files(output) as (stream,), tqdm(desc=f"encode {source.name}", unit=" lines") as bar:
        for chunk in _chunks(source):
            text = [spaces.sub(" ", line) for line in chunk]
            for line, pieces in zip(chunk, processor.encode(text, out_type=str)):
                number += 1
                stream.write(" ".join(pieces) + "\n")
                total += len(pieces)
                if not pieces or is_blank(line):
                    empty.append(number)
            bar.update(len(chunk))
    if empty:
        print(
            f"warning: {len(empty)} of {number} lines of {source} are empty or invisible, the "
            f"first is line {empty[0]}; expected text in each: clean both sides together with "
            f"`python -m preprocess.clean`",
            file=sys.stderr,
            flush=True,
        )
    return total


def decode(model: Path, lines: list[str]) -> list[str]:
    """Turn lines of space-separated pieces back into plain text."""
    return list(load(model).decode([line.split() for line in lines]))


def main(arguments: list[str] | None = None) -> None:
    """Train a model or write encoded text, as the command line says; print what was made."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    training = commands.add_parser("train", help="train one model over all inputs")
    training.add_argument("--input", type=Path, nargs="+", required=True)
    training.add_argument("--model", type=Path, required=True, help="prefix: PREFIX.model, .vocab")
    training.add_argument("--vocab", type=int, required=True, help="pieces, <unk> included")
    training.add_argument("--kind", choices=["unigram", "bpe"], default="unigram")
    training.add_argument(
        "--normalization",
        choices=NORMALIZATIONS,
        default=NORMALIZATIONS[0],
        help="what becomes of text before it is cut; identity, the default, loses nothing",
    )
    training.add_argument(
        "--coverage",
        type=float,
        default=1.0,
        help="share of the characters with pieces of their own: 1, or 0.9995 for Japanese, Chinese",
    )
    training.add_argument(
        "--byte-fallback",
        action="store_true",
        help="bytes instead of <unk> for characters without a piece; takes 256 of --vocab",
    )
    training.add_argument(
        "--max-line-bytes",
        type=int,
        default=MAX_LINE_BYTES,
        help="longer lines are left out of training (default: %(default)s)",
    )
    encoding = commands.add_parser("encode", help="text -> pieces")
    encoding.add_argument("--model", type=Path, required=True)
    encoding.add_argument("--input", type=Path, required=True)
    encoding.add_argument("--output", type=Path, required=True)
    options = parser.parse_args(arguments)
    if options.command == "train":
        trained = train(
            options.input,
            options.model,
            options.vocab,
            options.kind,
            options.coverage,
            normalization=options.normalization,
            byte_fallback=options.byte_fallback,
            max_line_bytes=options.max_line_bytes,
        )
        print(trained)
    else:
        print(f"{encode(options.model, options.input, options.output)} pieces")


if __name__ == "__main__":
    exit_on_signals()
    main()
