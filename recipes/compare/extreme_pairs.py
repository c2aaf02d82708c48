"""Lists of the pairs that an arm trained on most and least often, as text files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Sequence

import numpy as np

from preprocess.text import UserError, read_lines, whole_files
from recipes.compare.packed import COUNTS
from recipes.compare.records import AGAIN
from recipes.compare.sections import BASELINE, Cell, Section
from recipes.compare.significance import text_folder

MANY = 50  # pairs at each end


def counts_of(cell: Cell) -> tuple[np.ndarray, int]:
    """Return (times each pair was trained on, summed over seeds; number of runs with counts).

    Raises:
        UserError: the runs disagree on the number of training pairs
    """
    total, runs, first = np.zeros(0, dtype=np.int64), 0, ""
    for record in cell.records:
        content, path = record.files.read(COUNTS), record.files.place(COUNTS)
        if content is None:
            continue
        try:
            counts = np.load(io.BytesIO(content))
        except ValueError as error:
            raise UserError(f"{path} is no array of numpy ({error}): {AGAIN}") from error
        if runs and len(counts) != len(total):
            raise UserError(
                f"{path} counts {len(counts)} pairs, {first} counts {len(total)}; expected the "
                f"same corpus: give records of one preparation of it"
            )
        total = counts.astype(np.int64) + (total if runs else 0)
        runs, first = runs + 1, path
    return total, runs


def extremes(counts: np.ndarray, many: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the ids of the pairs with the highest and of those with the lowest counts.

    Equal counts come in a fixed random order, since order by id would show the first lines only.
    """
    order = np.random.default_rng(0).permutation(len(counts))
    rising = order[np.argsort(counts[order], kind="stable")]
    return rising[::-1][:many], rising[:many]


def block(title: str, ids: np.ndarray, counts: np.ndarray, texts: Sequence[Sequence[str]]) -> str:
    """Format pairs: count, id and label on one line, then each side on its own."""
    last = int(counts[ids[-1]])
    edge = f"{int((counts == last).sum()):,} pairs were trained on {last} times, as the last here"
    lines = [f"== {title} ({edge})"]
    source, target, label = texts
    for i in ids.tolist():
        named = f"  {label[i]}" if label else ""
        lines += [f"{counts[i]:5d} x  pair {i}{named}", f"      {source[i]}", f"      {target[i]}"]
    return "\n".join(lines)


def _texts(folder: Path, langs: tuple[str, str], pairs: int) -> list[list[str]] | None:
    """Return source, target and labels (or none), one a pair; None where there is no text."""
    paths = [folder / f"train.{lang}" for lang in langs]
    if not all(path.is_file() for path in paths):
        return None
    labels = folder.parent / "labels.txt"
    texts = [list(read_lines(path)) for path in paths]
    texts.append(list(read_lines(labels)) if labels.is_file() else [])
    for path, lines in zip([*paths, labels], texts):
        if lines and len(lines) != pairs:
            raise UserError(
                f"{path} has {len(lines)} lines, {COUNTS} of its runs {pairs}; expected one a "
                f"training pair: name the right folder in --corpora"
            )
    return texts


def write(section: Section, corpora: Path | None, out: Path) -> tuple[list[Path], list[str]]:
    """Write a file for each arm but plain training, at its largest budget.

    Return paths and remarks.
    """
    paths: list[Path] = []
    remarks: list[str] = []
    done = {BASELINE}
    for cell in section.cells:  # by falling budget within an arm
        if cell.arm in done:
            continue
        done.add(cell.arm)
        counts, runs = counts_of(cell)
        folder = text_folder(section.records, corpora)
        texts = _texts(folder, cell.records[0].languages, len(counts)) if runs else None
        if texts is None:
            what = f"no {section.corpus}/text/train.* in --corpora" if runs else f"no {COUNTS}"
            remarks.append(f"no list of most kept and most skipped pairs for {cell.name}: {what}")
            continue
        most, least = extremes(counts, MANY)
        name = f"pairs_{section.corpus}_{section.architecture}_{section.updates}_{cell.arm}"
        device = f"_{section.device}".replace(" ", "-").replace("/", "-") if section.device else ""
        path = out / f"{name}{device}.txt"
        with whole_files(path) as (stream,):
            stream.write(
                f"{section.title}, {cell.name}: times trained on, over {runs} run(s), mean "
                f"{counts.mean():.2f}\n\n{block('most kept', most, counts, texts)}\n\n"
                f"{block('most skipped', least, counts, texts)}\n"
            )
        paths.append(path)
    return paths, remarks
