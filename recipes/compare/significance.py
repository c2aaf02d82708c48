"""Bootstrap resampling of the test set: sacreBLEU's own paired test between runs of the same seed,
and how far the mean over seeds would move with other sentences."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, NamedTuple, Sequence, Tuple

import numpy as np
import sacrebleu
from sacrebleu.significance import PairedTest

from preprocess.text import UserError, read_lines
from recipes.compare.languages import tokenizer_of
from recipes.compare.packed import HYPOTHESES
from recipes.compare.prepare import PAGES
from recipes.compare.records import Record
from recipes.compare.sections import Cell, Section

SAMPLES = 1000  # resamples, sacreBLEU's default
TOLERANCE = 0.01  # BLEU between a record and its stored hypotheses


class Paired(NamedTuple):
    """One run against another of the same seed: difference in BLEU and p-value.

    p is 1 where both translate alike: sacreBLEU's count of larger differences is then empty, and
    would make nothing look significant.
    """

    seed: int
    difference: float
    p: float


@dataclass
class Compared:
    """A cell against another: each seed's test, and the mean of their differences."""

    pairs: list[Paired] = field(default_factory=list)
    resampled: list[np.ndarray] = field(default_factory=list)  # of each seed, shape (SAMPLES,)

    @property
    def mean(self) -> float:
        return float(np.mean([pair.difference for pair in self.pairs]))

    @property
    def spread(self) -> tuple[float, float]:
        """The middle 95% of the mean difference over resampled test sets; the runs stay the same,
        so this says nothing of other seeds."""
        low, high = np.percentile(np.mean(self.resampled, axis=0), [2.5, 97.5])
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


def bleu_of(record: Record, **options: Any) -> sacrebleu.BLEU:
    """sacreBLEU's metric as the record's scores were measured."""
    return sacrebleu.BLEU(tokenize=tokenizer_of(record.languages[1]), **options)


def pages_of(references: Path) -> list[str]:
    """The page of each test pair, where several come from one; else nothing."""
    path = references.parent.parent / PAGES
    return list(read_lines(path)) if path.is_file() else []


def hypotheses(record: Record, references: Sequence[str]) -> list[str] | None:
    """Return the stored translations, detokenised, or None where there are none.

    Raises UserError if they are not of these references: another number of lines, or another BLEU.
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


def paired(
    base: Sequence[str],
    systems: Sequence[Sequence[str]],
    references: Sequence[str],
    bleu: sacrebleu.BLEU | None = None,
) -> list[tuple[float, float]]:
    """Return (difference in BLEU, p-value) of each system against `base`.

    Args:
        bleu: made with the references; None: sacreBLEU's default

    As `sacrebleu --paired-bs`: Koehn 2004, with the seed SACREBLEU_SEED or 12345. sacreBLEU takes
    the mean of the resampled differences' absolute values off them, and counts what is still as
    large: that is a one-sided p where the difference is 1.64 standard errors (one in twenty) or
    more. Below it is less than one: 0.12 for 0.16 at 1, 0.21 for 0.31 at a half, 0.42 for 0.5 at 0.
    """
    named: list[tuple[str, Sequence[str]]] = [
        ("base", list(base)),
        *((str(i), list(s)) for i, s in enumerate(systems)),
    ]
    metrics = {"BLEU": bleu or sacrebleu.BLEU(references=[list(references)])}
    _, scores = PairedTest(named, metrics, None, test_type="bs", n_samples=SAMPLES)()
    results = scores["BLEU"]
    return [(r.score - results[0].score, r.p_value) for r in results[1:]]  # type: ignore[union-attr,misc]


def resampled(
    lines: Sequence[str],
    references: Sequence[str],
    bleu: sacrebleu.BLEU | None = None,
    pages: Sequence[str] = (),
) -> np.ndarray:
    """BLEU on resampled test sets, shape (SAMPLES,): the same ones for all systems, so that
    differences are paired. Seeded as sacreBLEU's own by default.

    Args:
        bleu: the metric; None: sacreBLEU's default
        pages: the page of each line: whole pages are drawn, since the sentences of one stand and
            fall together; empty: lines are
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
            f"the interval over sentences is over {len(set(pages))} resampled pages of the test "
            f"set; p is still sacreBLEU's, which draws sentences, and too small by that"
        )
    tests: Tests = {}
    for base, cells in comparisons(section):
        for record in base.records:
            rivals = [(c, r) for c in cells for r in c.records if r.seed == record.seed]
            named = [(c, r.run, t) for c, r in rivals if (t := texts[r.run]) is not None]
            own = texts[record.run]
            if own is None or not named:
                continue
            metric = bleu_of(record, references=[references])
            results = paired(own, [text for *_, text in named], references, metric)
            for (cell, run, text), (delta, p) in zip(named, results):
                test = tests.setdefault((cell.name, base.name), Compared())
                test.pairs.append(Paired(record.seed, delta, 1.0 if text == own else p))
                test.resampled.append(draws[run] - draws[record.run])
    return tests, remarks
