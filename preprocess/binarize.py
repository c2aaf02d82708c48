"""Turn encoded text into a fairseq data-bin, with the SentencePiece vocabulary as its dictionary.

    python -m preprocess.binarize --source-lang en --target-lang de --source-model spm.model \\
        --train enc/train --valid enc/valid --test enc/test --destination data-bin

fairseq-preprocess does the work. The dictionary is made from the SentencePiece model rather than
from the text, so that it holds every piece that the model can produce.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import re
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from preprocess.containers import unpacking
from preprocess.spm import load
from preprocess.text import (
    UserError,
    exit_on_signals,
    held,
    open_bytes,
    read_lines,
    staging,
    whole_files,
    with_parents,
    writing,
)
from preprocess.unknown import OWN, check_limit, refuse_unknown

SPLITS = ("train", "valid", "test")
# files of a data-bin: fairseq-preprocess's, and the plugin's features
OF_A_DATA_BIN = re.compile(r"dict\.[^.]+\.txt|.+\.(bin|idx)|preprocess\.log|autoassist")
OLD = "old"  # name of the replaced data-bin, in the folder where the new one is made
MISREAD = OWN - {"<unk>"}  # symbols that fairseq would read in a text as its own
MOST_UNKNOWN = 5.0  # percent of a file's tokens; with its own model a file has nearly none


def write_dictionary(model: Path, path: Path) -> int:
    """Write the pieces of `model` as a fairseq dictionary ("piece count"); return their number.

    fairseq adds <s>, <pad>, </s> and <unk> itself, so they are left out. All counts are 1, since
    fairseq uses counts only to cut a vocabulary, and SentencePiece has cut it already.
    """
    processor = load(model)
    size = processor.get_piece_size()
    named = [
        processor.id_to_piece(i)
        for i in range(size)
        if not (processor.is_unknown(i) or processor.is_control(i))
    ]
    pieces = [piece for piece in named if piece not in OWN]
    with whole_files(path) as (stream,):
        stream.writelines(f"{piece} 1\n" for piece in pieces)
    return len(pieces)


def preprocess_command(options: argparse.Namespace, folder: Path) -> list[str]:
    """Return the fairseq-preprocess command that writes into `folder`."""
    command = [sys.executable, "-m", "fairseq_cli.preprocess"]
    command += ["--source-lang", options.source_lang, "--target-lang", options.target_lang]
    for split in SPLITS:
        prefix = getattr(options, split)
        if prefix is not None:
            command += [f"--{split}pref", str(prefix)]
    command += ["--srcdict", str(folder / "source.txt")]
    if options.target_model is None:
        command += ["--joined-dictionary"]
    else:
        command += ["--tgtdict", str(folder / "target.txt")]
    command += ["--dataset-impl", "mmap", "--workers", str(options.workers)]
    return command + ["--destdir", str(folder / "data-bin")]


def _lines(path: Path) -> int:
    """Count the lines that fairseq-preprocess will find; refuse a text that it would misread."""
    if not path.is_file():
        raise UserError(
            f"found no {path}; expected encoded text: run `python -m preprocess.spm encode`"
        )
    stream, outer = open_bytes(path)
    stream.close()
    if outer is not None:
        raise UserError(
            f"{path} is {outer.name}, which fairseq-preprocess does not read; expected plain text: "
            f"unpack it with {unpacking(path, None, outer)}"
        )
    number = 0
    for number, line in enumerate(read_lines(path), 1):
        if "\r" in line[:-1]:
            raise UserError(
                f"line {number} of {path} holds a carriage return, where fairseq would end it; "
                f"expected encoded text: run `python -m preprocess.spm encode`"
            )
        if "<" in line:
            held_back = MISREAD.intersection(line.split())
            if held_back:
                raise UserError(
                    f"line {number} of {path} holds the piece {min(held_back)}, which means "
                    f"something else to fairseq; expected text without it: take it out of the text "
                    f"and encode that again"
                )
    return number


def check(options: argparse.Namespace) -> None:
    """Refuse in one line a call that would fail late or overwrite something."""
    given = [split for split in SPLITS if getattr(options, split) is not None]
    if not given:
        raise UserError("found no text to binarise; expected some: give --train, --valid or --test")
    if options.source_lang == options.target_lang:
        raise UserError(
            f"--source-lang and --target-lang are both {options.source_lang}; expected two: give "
            f"one side's file another ending"
        )
    for split in given:
        prefix = getattr(options, split)
        paths = [Path(f"{prefix}.{lang}") for lang in (options.source_lang, options.target_lang)]
        source, target = map(_lines, paths)
        if source != target:
            raise UserError(
                f"{paths[0]} has {source} lines but {paths[1]} {target}; expected one line a pair "
                f"in both: encode both again from text that is aligned"
            )
        if source == 0:
            raise UserError(
                f"{paths[0]} and {paths[1]} hold no line; expected one a pair: encode the text "
                f"again, or leave --{split} out"
            )
    check_limit(options.max_unknown)
    if options.workers < 1:
        raise UserError(f"--workers is {options.workers}; expected 1 or more")
    destination: Path = options.destination
    if destination.exists() and not options.overwrite:
        raise UserError(
            f"{destination} exists; expected a new folder: name another --destination, "
            f"or replace it with --overwrite"
        )
    if destination.exists():
        _check_replaced(destination)


def _check_replaced(destination: Path) -> None:
    """Refuse to replace a folder that is no data-bin or holds other files."""
    names = sorted(path.name for path in destination.iterdir()) if destination.is_dir() else [""]
    if names and not any(destination.glob("dict.*.txt")):
        raise UserError(
            f"{destination} is no data-bin (it holds no dict.LANG.txt); expected one to replace "
            f"with --overwrite: name another --destination"
        )
    others = [name for name in names if not OF_A_DATA_BIN.fullmatch(name)]
    if others:
        raise UserError(
            f"{destination} holds {', '.join(others[:3])} too, which is no part of a data-bin and "
            f"would be lost with --overwrite: move it, or name another --destination"
        )


def run_to_its_end(command: list[str], folder: Path) -> int:
    """Run a command that works in a folder; return its exit status.

    Its workers end with it, on errors and signals too. After a SIGKILL to this process the workers
    go on, and keep the folder locked.
    """
    with held(folder) as lock:
        process = subprocess.Popen(command, start_new_session=True, pass_fds=[lock])
        try:
            return process.wait()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # all its output lies in the folder
                process.wait()


def move_whole(made: Path, destination: Path, old: Path) -> None:
    """Put the new data-bin in the place of an existing one, which goes to `old`."""
    try:
        if destination.exists():
            os.replace(destination, old)
        os.replace(made, destination)
    except BaseException:
        put_back(old, destination)
        raise


def put_back(old: Path, destination: Path) -> None:
    """Restore the old data-bin after a call that was killed within `move_whole`."""
    if old.exists() and not destination.exists():
        os.replace(old, destination)


def binarize(options: argparse.Namespace) -> None:
    """Build the data-bin beside its destination, then move it there whole."""
    destination: Path = options.destination.resolve()  # a link is followed
    options.destination = destination
    place = destination.parent / f".{destination.name}.binarize"
    with writing(destination):
        if (place / OLD).exists():
            with held(place, fcntl.LOCK_EX):  # a running call may be moving it
                put_back(place / OLD, destination)
    check(options)
    with ExitStack() as stack:
        with writing(destination):
            stack.enter_context(with_parents(destination))
        folder = stack.enter_context(staging(place))
        stack.enter_context(held(folder))
        write_dictionary(options.source_model, folder / "source.txt")
        if options.target_model is not None:
            write_dictionary(options.target_model, folder / "target.txt")
        status = run_to_its_end(preprocess_command(options, folder), folder)
        if status != 0:
            raise UserError(f"fairseq-preprocess failed with status {status}; its output is above")
        langs = options.source_lang, options.target_lang
        models = options.source_model, options.target_model or options.source_model
        refuse_unknown(folder / "data-bin", dict(zip(langs, models)), options.max_unknown)
        with writing(destination):
            move_whole(folder / "data-bin", destination, folder / OLD)
    print(destination)


def main(arguments: list[str] | None = None) -> None:
    """Write the data-bin that the command line describes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--source-lang", required=True)
    parser.add_argument("--target-lang", required=True)
    parser.add_argument("--source-model", type=Path, required=True, help="SentencePiece .model")
    parser.add_argument("--target-model", type=Path, help="left out: one joint dictionary")
    parser.add_argument("--train", type=Path, help="prefix of the encoded text, without .LANG")
    parser.add_argument("--valid", type=Path)
    parser.add_argument("--test", type=Path)
    parser.add_argument("--destination", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument(
        "--max-unknown",
        type=float,
        default=MOST_UNKNOWN,
        metavar="PERCENT",
        help="of a file's tokens, that may be unknown to the model (default: %(default)s)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace --destination")
    binarize(parser.parse_args(arguments))


if __name__ == "__main__":
    exit_on_signals()
    main()
