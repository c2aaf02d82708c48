"""Paired bootstrap of the test set (Koehn 2004): how far a difference in BLEU would move with other
sentences, for each seed and for the mean over seeds."""

from __future__ import annotations

from dataclasses import dataclass, field
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
    """BLEU of one run minus that of another of the same seed; `low` and `high` bound the middle 95%
    over resampled test sets."""

    seed: int
    difference: float
    low: float
    high: float


@dataclass
class Compared:
    """A cell against another: each seed's difference, and the mean of them."""

    pairs: list[Paired] = field(default_factory=list)
    resampled: list[np.ndarray] = field(default_factory=list)  # of each seed, shape (SAMPLES,)

    def add(self, seed: int, difference: float, resampled: np.ndarray) -> None:
        """Add one seed with its difference on each resampled test set, shape (SAMPLES,)."""
        self.pairs.append(Paired(seed, difference, *_middle(resampled)))
        self.resampled.append(resampled)

    @property
    def mean(self) -> float:
        return float(np.mean([pair.difference for pair in self.pairs]))

    @property
    def spread(self) -> tuple[float, float]:
        """The middle 95% of the mean difference over resampled test sets.

        The runs stay the same, so it says nothing of other seeds.
        """
        return _middle(np.mean(self.resampled, axis=0))


def _middle(values: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


Tests = Dict[Tuple[str, str], Compared]  # (cell, cell it is held against)


def reference_file(section: Section, corpora: Path | None) -> Path:
    """Return the test references: under `corpora`, else where the runs expect theirs."""
    target = section.records[0].languages[1]
    return text_folder(section.records, corpora) / f"test.{target}"


def text_folder(records: Sequence[Record], corpora: Path | None) -> Path:
    """Return the folder of the corpus' text, of the first record that has one."""
    bases = [corpora] if corpora else [r.files.corpora for r in records]
    folders = [base / records[0].corpus / "text" for base in bases]
    return next((folder for folder in folders if folder.is_dir()), folders[0])


def bleu_of(record: Record) -> sacrebleu.BLEU:
    """sacreBLEU's metric as the record's scores were measured."""
    return sacrebleu.BLEU(tokenize=tokenizer_of(record.languages[1]))


def pages_of(references: Path) -> list[str]:
    """The page of each test pair, where several come from one; else nothing."""
    path = references.parent.parent / PAGES
    return list(read_lines(path)) if path.is_file() else []


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


def comparisons(section: Section) -> list[tuple[Cell, list[Cell]]]:
    """Return (cell held against, cells): all against the baseline, and each against its control."""
    found = []
    if section.baseline:
        found.append((section.baseline, [c for c in section.cells if c is not section.baseline]))
    for control in (c for c in section.cells if c.is_control):
        rivals = [c for c in section.cells if section.control(c) is control]
        rivals = [c for c in rivals if c is not section.baseline]  # held against it above
        found.append((control, rivals))
    return found


def bootstrap(section: Section, corpora: Path | None) -> tuple[Tests, list[str]]:
    """Run all tests of a section; returns them and remarks on what could not be tested."""
    path = reference_file(section, corpora)
    if not path.is_file():
        return {}, [
            f"no paired bootstrap: found no {section.corpus}/text/{path.name}; name the folder "
            f"that {section.corpus} lies in by --corpora"
        ]
    references = list(read_lines(path))
    texts = {r.run: hypotheses(r, references) for r in section.records}
    missing = sorted(run for run, text in texts.items() if text is None)
    remarks = [f"no paired bootstrap for {', '.join(missing)}: no hypotheses"] if missing else []
    pages = pages_of(path)
    bleu = bleu_of(section.records[0])
    known = {run: text for run, text in texts.items() if text is not None}
    draws = {run: resampled(text, references, bleu, pages) for run, text in known.items()}
    if pages:
        remarks.append(
            f"the intervals over sentences are over {len(set(pages))} resampled pages of the test "
            f"set"
        )
    tests: Tests = {}
    for base, cells in comparisons(section):
        for own in base.records:
            for cell, rival in ((c, r) for c in cells for r in c.records if r.seed == own.seed):
                if own.run in draws and rival.run in draws:
                    test = tests.setdefault((cell.name, base.name), Compared())
                    test.add(
                        own.seed,
                        rival.end["BLEU"] - own.end["BLEU"],
                        draws[rival.run] - draws[own.run],
                    )
    return tests, remarks
