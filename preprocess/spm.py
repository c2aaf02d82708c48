"""Train SentencePiece and encode text with it.

    python -m preprocess.spm train --input clean/train.en clean/train.de --model spm --vocab 6000
    python -m preprocess.spm encode --model spm.model --input clean/train.en --output enc/train.en

Several inputs make one joint vocabulary; for separate ones, train twice. The same text gives the
same model on every machine.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Iterator

import sentencepiece
from tqdm import tqdm

from preprocess.text import (
    UserError,
    exit_on_signals,
    held,
    read_lines,
    staging,
    whole_files,
    writing,
)

# The trainer adds up partial counts per thread, so the number is fixed rather than the machine's.
TRAINER_THREADS = 4
ENCODE_CHUNK = 10_000  # lines; bounds memory, long enough for SentencePiece's own threads


class _Lines:
    """The lines of all inputs, and what ended them early.

    SentencePiece turns whatever its iterator raises, Ctrl-C too, into a RuntimeError of its own.
    """

    def __init__(self, inputs: list[Path]) -> None:
        self.inputs = inputs
        self.failure: BaseException | None = None

    def __iter__(self) -> Iterator[str]:
        try:
            for path in self.inputs:
                yield from read_lines(path)
        except GeneratorExit:
            raise
        except BaseException as error:
            self.failure = error
            raise


def train(
    inputs: list[Path], model: Path, vocab: int, kind: str = "unigram", coverage: float = 1.0
) -> Path:
    """Train one joint model over `inputs`; return the path of the .model file.

    `coverage` is the share of the text's characters that get pieces: of alphabets all, so that none
    becomes <unk>; of thousands of signs, as in Japanese, those but for the rarest.

    Begin, end and padding symbols are left to fairseq's dictionary, which has its own.

    Raises:
        UserError: `model` is no prefix or cannot be written, or SentencePiece refuses the text or
            the size
    """
    if model.suffix == ".model":
        raise UserError(
            f"--model is {model}; expected a prefix, to which .model and .vocab are added: give "
            f"--model {model.with_suffix('')}"
        )
    if vocab < 1:
        raise UserError(f"--vocab is {vocab}; expected 1 or more")
    target = _file_of(model)
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    with staging(target.parent / f".{model.name}.spm") as folder, held(folder):
        lines = _Lines(inputs)
        prefix = folder / "spm"
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(lines),
                model_prefix=str(prefix),
                vocab_size=vocab,
                model_type=kind,
                character_coverage=coverage,
                num_threads=TRAINER_THREADS,
                unk_id=0,
                bos_id=-1,
                eos_id=-1,
                pad_id=-1,
                minloglevel=1,
            )
        except RuntimeError as error:
            if lines.failure is not None:
                raise lines.failure from None
            raise _refusal(inputs, vocab, " ".join(str(error).split())) from error
        with writing(target):
            for suffix in (".vocab", ".model"):  # the model last: it is what others look for
                os.replace(f"{prefix}{suffix}", model.with_name(model.name + suffix))
    return target


def _file_of(prefix: Path) -> Path:
    return prefix.with_name(prefix.name + ".model")


def _refusal(inputs: list[Path], vocab: int, reason: str) -> UserError:
    """What SentencePiece did not like, and what to do about it."""
    if "sentences_.empty()" in reason:
        named = ", ".join(map(str, inputs))
        return UserError(
            f"found no text in {named}, or only lines of more than 4192 bytes, which SentencePiece "
            "leaves out; expected sentences, one a line"
        )
    if "ocabulary size" in reason:
        return UserError(
            f"SentencePiece refused a vocabulary of {vocab} pieces ({reason}); "
            f"expected a size that the text can fill: give another --vocab, or more text"
        )
    return UserError(f"SentencePiece failed ({reason}); is there room on the disk of --model?")


def _train(model: Path) -> str:
    prefix = model.with_suffix("") if model.suffix == ".model" else model
    return f"`python -m preprocess.spm train --input TEXT ... --model {prefix}`"


def load(model: Path) -> sentencepiece.SentencePieceProcessor:
    """Load a model; a missing or damaged file is refused in one line."""
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
            f"{model} is not a SentencePiece model; make it anew with {_train(model)}"
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
    """Write `source` as space-separated pieces, line by line; return the number of pieces."""
    processor = load(model)
    total = 0
    with whole_files(output) as (stream,), tqdm(desc=f"encode {source.name}", unit=" lines") as bar:
        for chunk in _chunks(source):
            for pieces in processor.encode(chunk, out_type=str):
                stream.write(" ".join(pieces) + "\n")
                total += len(pieces)
            bar.update(len(chunk))
    return total


def decode(model: Path, lines: list[str]) -> list[str]:
    """Turn lines of space-separated pieces back into plain text."""
    return list(load(model).decode([line.split() for line in lines]))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    training = commands.add_parser("train", help="train one model over all inputs")
    training.add_argument("--input", type=Path, nargs="+", required=True)
    training.add_argument("--model", type=Path, required=True, help="prefix: PREFIX.model, .vocab")
    training.add_argument("--vocab", type=int, required=True, help="pieces, <unk> included")
    training.add_argument("--kind", choices=["unigram", "bpe"], default="unigram")
    encoding = commands.add_parser("encode", help="text -> pieces")
    encoding.add_argument("--model", type=Path, required=True)
    encoding.add_argument("--input", type=Path, required=True)
    encoding.add_argument("--output", type=Path, required=True)
    options = parser.parse_args(arguments)
    if options.command == "train":
        print(train(options.input, options.model, options.vocab, options.kind))
    else:
        print(f"{encode(options.model, options.input, options.output)} pieces")


if __name__ == "__main__":
    exit_on_signals()
    main()
