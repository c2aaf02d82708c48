"""Audit of the prior: by known labels, or by what is equal on both sides.

    python -m recipes.crawl.audit [CORPUS ...] [--corpora runs/compare/corpora]

A mix is audited by okay pairs against each type of noise, for the prior and for each statistic.
`web` is audited by pairs that people labelled misaligned (A) against valid and free translations
(V, F), beside the published scores of Bicleaner. Training never reads these labels. Any other
corpus is audited by its copies: names are to be kept, sentences and different names are not.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from fairseq_autoassist.features.agreement.files import AGREEMENT_NAME, CODES_NAME, PRIOR_NAME
from fairseq_autoassist.features.commands import feature_folder
from preprocess.clean import normalise
from preprocess.text import UserError, read_lines
from recipes.common import data
from recipes.common.data import ROOT
from recipes.common.jsonfile import read_json
from recipes.compare.corpora import CORPORA, DOWNLOADS
from recipes.crawl.mix import NOISE, OKAY

CORPORA_BY_DEFAULT = ("mix77", "web")
NAME = re.compile(r"\S*[_.:()<>/]\S*")  # one word with a sign of code in it
GOOD, BAD = ("V", "F"), "A"  # human labels: valid and free translations; misaligned


def auc(good: np.ndarray, bad: np.ndarray) -> float:
    """Probability that a good pair scores above a bad one, for scores (n,) and (m,).

    Ties count half.
    """
    labels = np.r_[np.ones(len(good)), np.zeros(len(bad))]
    return float(roc_auc_score(labels, np.r_[good, bad]))


def scores_of(corpus: Path, langs: tuple[str, str]) -> dict[str, np.ndarray]:
    """Return the prior of each training pair and the bin of each statistic, each (pairs,).

    Raises:
        UserError: the corpus has no agreement
    """
    folder = feature_folder(corpus / "data-bin", "train", *langs)
    path = folder / AGREEMENT_NAME
    if not path.is_file():
        raise UserError(
            f"found no {path}; expected a prepared corpus: run `python -m "
            f"recipes.compare.prepare {corpus.name} --out {corpus.parent}`"
        )
    told = read_json(path)
    names = told["statistics"]
    codes = np.fromfile(folder / CODES_NAME, dtype=np.uint8).reshape(-1, len(names))
    found = {"prior": np.fromfile(folder / PRIOR_NAME, dtype="<f4")}
    return {**found, **{name: codes[:, n] for n, name in enumerate(names)}}


def by_type(corpus: Path) -> str:
    """Make the table of AUCs by type of noise, and the share of each type that the prior keeps."""
    langs = CORPORA[corpus.name].langs
    scores = scores_of(corpus, langs)
    labels = np.array(list(read_lines(corpus / "labels.txt")))
    types = [name for name in NOISE if (labels == name).any()]
    lines = [f"{'AUC, okay against':<20}" + "".join(f"{name:>11}" for name in types)]
    for name, values in scores.items():
        okay = values[labels == OKAY]
        areas = [auc(okay, values[labels == kind]) for kind in types]
        lines.append(f"{name:<20}" + "".join(f"{area:>11.4f}" for area in areas))
    for name in (OKAY, *types):
        mine = scores["prior"][labels == name]
        lines.append(f"{name}: {len(mine)} pairs, {mine.mean():.3f} of them kept by the prior")
    return "\n".join(lines)


def by_people(corpus: Path) -> str:
    """Make the table of AUCs of A against V and F for each release of ParaCrawl."""
    langs = CORPORA[corpus.name].langs
    scores = scores_of(corpus, langs)
    texts = [list(read_lines(corpus / "text" / f"train.{lang}")) for lang in langs]
    place = {pair: number for number, pair in enumerate(zip(*texts))}
    path = data.find(data.PARACRAWL, DOWNLOADS)["en-de.tsv.gz"]
    rows = [line.split("\t") for line in read_lines(path)]
    known = [(row, place.get((normalise(row[2]), normalise(row[3])))) for row in rows]
    judged = [(row, at) for row, at in known if at is not None and row[5] in (*GOOD, BAD)]
    lines = [
        f"{'release':<10}{'A':>6}{'V, F':>6}{'Bicleaner':>11}"
        + "".join(f"{name:>20}" for name in scores)
    ]
    for release in [*sorted({row[0] for row, _ in judged}), "all"]:
        mine = [(row, at) for row, at in judged if release in (row[0], "all")]
        bad = np.array([row[5] == BAD for row, _ in mine])
        ids = np.array([at for _, at in mine])
        columns = {"": np.array([float(row[4]) for row, _ in mine])}
        columns.update({name: values[ids] for name, values in scores.items()})
        areas = [auc(values[~bad], values[bad]) for values in columns.values()]
        cells = f"{areas[0]:>11.3f}" + "".join(f"{area:>20.3f}" for area in areas[1:])
        lines.append(f"{release:<10}{bad.sum():>6}{(~bad).sum():>6}" + cells)
    return "\n".join(lines)


def by_form(corpus: Path) -> str:
    """Make the table of copies by their length, and of pairs of different names."""
    langs = CORPORA[corpus.name].langs
    prior = scores_of(corpus, langs)["prior"]
    texts = [np.array(list(read_lines(corpus / "text" / f"train.{lang}"))) for lang in langs]
    words = np.array([len(line.split()) for line in texts[0]])
    equal = texts[0] == texts[1]
    named = [np.array([NAME.fullmatch(line) is not None for line in text]) for text in texts]
    kinds = {
        "equal, one word": equal & (words == 1),
        "equal, two or three words": equal & (words > 1) & (words < 4),
        "equal, four to six words": equal & (words > 3) & (words < 7),
        "equal, seven words or more": equal & (words > 6),
        "two different names": named[0] & named[1] & ~equal,
        "all others": ~equal & ~(named[0] & named[1]),
    }
    lines = [f"{'pairs':<28}{'number':>9}{'kept by the prior':>19}"]
    for name, some in kinds.items():
        kept = f"{prior[some].mean():.3f}" if some.any() else "-"
        lines.append(f"{name:<28}{some.sum():>9,}{kept:>19}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Print the audit of the corpora that the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("corpus", nargs="*", default=CORPORA_BY_DEFAULT)
    parser.add_argument("--corpora", type=Path, default=ROOT / "runs" / "compare" / "corpora")
    options = parser.parse_args(arguments)
    for name in options.corpus:
        if name not in CORPORA:
            raise UserError(f"found no corpus {name!r}; expected one of {', '.join(CORPORA)}")
        tell = by_people if name == "web" else by_type if name.startswith("mix") else by_form
        print(f"== {name}\n{tell(options.corpora / name)}", flush=True)


if __name__ == "__main__":
    main()
