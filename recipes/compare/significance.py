"""Paired bootstrap of the test set (Koehn 2004): how far a difference in BLEU would move with other
test sentences and the same runs."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, NamedTuple, Sequence, Tuple

import numpy as np
import sacrebleu

from preprocess.text import UserError, read_lines
from recipes.compare.languages import tokenizer_of
from recipes.compare.packed import HYPOTHESES
from recipes.compare.prepare import PAGES
from recipes.compare.records import Record
from recipes.compare.sections import Cell, Section

SAMPLES = 1000  # resampled test sets, as many as sacreBLEU draws by default
TOLERANCE = 0.01  # BLEU between a record and its stored hypotheses


class Paired(NamedTuple):
    """Mean over common seeds of a BLEU difference; `low` and `high` bound the middle 95% over
    resampled test sets."""

    seeds: int
    mean: float
    low: float
    high: float


Tests = Dict[Tuple[str, str], Paired]  # by (cell, cell it is held against)


def bleu_of(record: Record) -> sacrebleu.BLEU:
    """sacreBLEU's metric as the record's scores were measured."""
    return sacrebleu.BLEU(tokenize=tokenizer_of(record.languages[1]))


def hypotheses(record: Record, references: Sequence[str]) -> list[str] | None:
    """Return the stored translations, detokenised, or None where there are none.

    Raises:
        UserError: they are not of these references: another number of lines, or another BLEU
    """
    content = record.files.read(HYPOTHESES)
    if content is None:
        return None
    path, lines = record.files.place(HYPOTHESES), content.decode().split("\n")[:-1]
    if len(lines) != len(references):
        raise UserError(
            f"{path} holds {len(lines)} translations; expected {len(references)}, one a line of "
            f"the test set: name the right folder in --corpora, or measure the run again"
        )
    score = bleu_of(record).corpus_score(lines, [list(references)]).score
    if abs(score - record.end["BLEU"]) > TOLERANCE:
        raise UserError(
            f"{path} scores BLEU {score:.2f}, its record says {record.end['BLEU']:.2f}; expected "
            f"the same: name the right folder in --corpora, or measure the run again"
        )
    return lines


def resampled(
    lines: Sequence[str],
    references: Sequence[str],
    bleu: sacrebleu.BLEU | None = None,
    pages: Sequence[str] = (),
) -> np.ndarray:
    """BLEU on resampled test sets, shape (SAMPLES,).

    All systems are scored on the same test sets, so that differences are paired. The seed is
    sacreBLEU's default.

    Args:
        bleu: the metric; None: sacreBLEU's default
        pages: the page of each line, where whole pages are drawn: their sentences are not
            independent; empty: single lines are drawn
    """
    bleu = bleu or sacrebleu.BLEU()
    scores = [bleu.corpus_score([line], [[ref]]) for line, ref in zip(lines, references)]
    counts = np.array([[*s.counts, *s.totals, s.sys_len, s.ref_len] for s in scores])
    if pages:
        _, page = np.unique(np.array(pages), return_inverse=True)
        whole = np.zeros((page.max() + 1, counts.shape[1]), counts.dtype)
        np.add.at(whole, page, counts)
        counts = whole
    drawn = np.random.default_rng(12345).integers(len(counts), size=(SAMPLES, len(counts)))
    times = np.stack([np.bincount(sample, minlength=len(counts)) for sample in drawn])
    return np.array([_score(sums) for sums in (times @ counts).tolist()])


def _score(sums: list[int]) -> float:
    orders = (len(sums) - 2) // 2
    matches, totals, (system, reference) = sums[:orders], sums[orders:-2], sums[-2:]
    return sacrebleu.BLEU.compute_bleu(matches, totals, system, reference, "exp").score


def comparisons(section: Section) -> list[tuple[Cell, Cell]]:
    """Return (cell, cell it is held against): the baseline, and the cell's control."""
    base = section.baseline
    cells = [cell for cell in section.cells if cell is not base]
    return [(c, other) for c in cells for other in (base, section.control(c)) if other]


def paired(cell: Cell, base: Cell, draws: dict[str, np.ndarray]) -> Paired | None:
    """Test over the seeds that both have; None without one.

    Args:
        draws: run -> BLEU on the resampled test sets, shape (SAMPLES,)
    """
    own = {r.seed: r for r in base.records if r.run in draws}
    pairs = [(r, own[r.seed]) for r in cell.records if r.run in draws and r.seed in own]
    if not pairs:
        return None
    mean = float(np.mean([r.end["BLEU"] - other.end["BLEU"] for r, other in pairs]))
    moved = np.mean([draws[r.run] - draws[other.run] for r, other in pairs], axis=0)
    low, high = np.percentile(moved, [2.5, 97.5])
    return Paired(len(pairs), mean, float(low), float(high))


def bootstrap(section: Section, corpora: Path | None) -> tuple[Tests, list[str]]:
    """Run all tests of a section; return them and remarks on what could not be tested.

    Args:
        corpora: folder of the corpora; None: where the runs expect theirs
    """
    first = section.records[0]
    bases = [corpora] if corpora else [r.files.corpora for r in section.records]
    folder = next((b for b in bases if (b / section.corpus).is_dir()), bases[0]) / section.corpus
    path = folder / "text" / f"test.{first.languages[1]}"
    if not path.is_file():
        return {}, [
            f"no paired bootstrap: found no {section.corpus}/text/{path.name}; name the folder "
            f"that {section.corpus} lies in by --corpora"
        ]
    references = list(read_lines(path))
    pages = list(read_lines(folder / PAGES)) if (folder / PAGES).is_file() else []
    texts = {r.run: hypotheses(r, references) for r in section.records}
    bleu = bleu_of(first)
    draws = {run: resampled(t, references, bleu, pages) for run, t in texts.items() if t}
    missing = sorted(set(texts) - set(draws))
    remarks = [f"no paired bootstrap for {', '.join(missing)}: no hypotheses"] if missing else []
    if pages:
        remarks.append(f"the intervals over sentences are over {len(set(pages))} resampled pages")
    found = {(c.name, base.name): paired(c, base, draws) for c, base in comparisons(section)}
    return {names: test for names, test in found.items() if test}, remarks
