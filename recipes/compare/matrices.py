"""Names of runs, and the matrices of runs that make an experiment."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import Collection, Sequence

from preprocess.text import UserError
from recipes.compare.arms import ARMS
from recipes.compare.corpora import CORPORA
from recipes.compare.settings import ARCHITECTURES, TRAINING, Training, training_of

OWN = "own"  # the corpus of a user, which `recipes.crawl` makes of two files
RUN_ID = re.compile(
    r"([^.]+)\.([^.]+)\.([^.]+)\.b(0*[1-9][0-9]*)\.s([0-9]+)(?:\.u([1-9][0-9]*))?", re.ASCII
)


@dataclass(frozen=True)
class Run:
    """One run: corpus, architecture, arm, budget (share of the full number of updates), seed.

    `full` is that full number where it differs from the one in `settings`."""

    corpus: str
    architecture: str
    arm: str
    budget: float
    seed: int
    full: int | None = None

    @property
    def id(self) -> str:
        """Id and folder name: `multi30k.transformer.paper.b070.s1`, or with `.u3600` behind."""
        percent, full = round(100 * self.budget), f".u{self.full}" if self.full else ""
        return f"{self.corpus}.{self.architecture}.{self.arm}.b{percent:03d}.s{self.seed}{full}"

    @property
    def training(self) -> Training:
        """How the model is trained when the budget is 1."""
        return training_of(self.architecture, self.corpus, self.full)

    @property
    def updates(self) -> int:
        """Updates of this run; its learning rate is 0 after the last."""
        return max(1, round(self.training.updates * self.budget))


def run_of(name: str) -> Run:
    """Return the run of an id; refuse an unknown one."""
    found = RUN_ID.fullmatch(name)
    if found:
        corpus, architecture, arm, budget, seed, full = found.groups()
        tables: tuple[Collection[str], ...] = ({*CORPORA, OWN}, ARCHITECTURES, ARMS)
        known = all(part in table for part, table in zip((corpus, architecture, arm), tables))
        trained = TRAINING[architecture] if known else {}
        if corpus in trained or "" in trained:
            length = int(full) if full else None
            return Run(corpus, architecture, arm, int(budget) / 100, int(seed), length)
    raise UserError(
        f"found no run {name!r}; expected CORPUS.ARCHITECTURE.ARM.bPERCENT.sSEED, and .uUPDATES "
        f"behind it for another length, of "
        f"{'/'.join(CORPORA)}, {'/'.join(ARCHITECTURES)}, {'/'.join(ARMS)}"
    )


def _grid(
    corpora: str,
    architectures: str,
    arms: str,
    budgets: Sequence[float],
    seeds: Sequence[int] = (1,),
    full: int | None = None,
) -> list[Run]:
    """All combinations; seeds outermost, so that an interrupted matrix is whole for some seeds.

    Args:
        corpora, architectures, arms: names, separated by blanks
    """
    names = (seeds, corpora.split(), architectures.split(), budgets, arms.split())
    return [
        Run(corpus, architecture, arm, budget, seed, full)
        for seed, corpus, architecture, budget, arm in itertools.product(*names)
    ]


_ALL = "uniform random paper band spl infobatch"
_CRAWL = "uniform random prior default"
_CLEAN = "multi30k tatoeba"
_EASY_FIRST = "band-competence competence paper-competence"
_THREE = (1, 2, 3)

MATRICES: dict[str, list[Run]] = {
    "smoke": _grid("multi30k", "tiny", "uniform paper", [1.0]),
    "multi30k": _grid("multi30k", "transformer", f"{_ALL} competence", [1.0, 0.7], _THREE),
    "redundant-noisy": _grid(
        "tatoeba msdocs", "transformer", "uniform random paper band infobatch", [1.0, 0.7], _THREE
    ),
    # a few sessions of three hours on two CPU cores, nearer to a plateau than the rest
    "small-batch": [
        *_grid(_CLEAN, "small-batch", "uniform", [1.0], _THREE),
        *_grid(_CLEAN, "small-batch", "random band", [0.7], _THREE),
    ],
    "low-dropout": [
        *_grid("multi30k", "low-dropout", "uniform", [1.0], _THREE),
        *_grid("multi30k", "low-dropout", "random band paper spl infobatch", [0.7], _THREE),
        *_grid("noisy", "low-dropout", "uniform", [1.0]),
        # 0.67: at 0.70 of the updates in large batches the band had 0.72 of the tokens
        *_grid("noisy", "low-dropout", "random band", [0.67]),
    ],
    # 0.67 of the updates is 0.70 of the tokens, since short sentences fill batches better
    "curriculum": [
        *_grid("msdocs", "small-batch", "uniform", [1.0], full=8000),
        *_grid("msdocs", "small-batch", "random", [0.7], _THREE, 8000),
        *_grid("msdocs", "small-batch", _EASY_FIRST, [0.67], _THREE, 8000),
        *_grid("msdocs", "small-batch", "band-unguarded", [0.7], full=8000),
        # twice as long, to see whether the lead lasts
        *_grid("msdocs", "small-batch", "uniform", [1.0], full=16000),
        *_grid("msdocs", "small-batch", "random", [0.7], full=16000),
        *_grid("msdocs", "small-batch", "paper-competence", [0.67], full=16000),
    ],
    # a model of a published size, to check our plain training
    "published": _grid("multi30k-lower", "published", "uniform", [1.0]),
    "labels": _grid("noisy", "transformer", f"{_ALL} competence", [1.0]),
    "architectures": _grid("multi30k", "lstm fconv wide", "uniform random paper band", [1.0, 0.7]),
    # raw crawl; the seeds of the noisiest corpus first, then those of the cleanest
    "crawl": [
        *_grid("mix77", "crawl", _CRAWL, [1.0]),
        *_grid("mix77", "crawl", "oracle hard-filter band paper", [1.0]),
        *_grid("mix00", "crawl", _CRAWL, [1.0]),
        *_grid("mix50 mix25", "crawl", _CRAWL, [1.0]),
        *_grid("mix77 mix00", "crawl", _CRAWL, [1.0], (2, 3)),
    ],
    "crawl-mdn": _grid("mdn-de mdn-ja", "crawl", _CRAWL, [1.0], _THREE),
    # what else was tried on raw crawl
    "crawl-tried": [
        *_grid("mix77 mdn-de", "crawl", "own-loss", [1.0]),
        *_grid("mdn-de", "crawl", "default-competence", [1.0]),
    ],
    # whether fewer updates, with a schedule of their own, are enough for plain training's BLEU
    "crawl-short": [
        *_grid("mix50", "crawl", "default", [0.4]),
        *_grid("mdn-de", "crawl", "default", [0.2]),
    ],
    # whether identifiers come out unchanged where many pairs are one name
    "crawl-names": _grid("msdocs", "crawl", "uniform default", [0.5]),
}


def runs_of(names: Sequence[str]) -> list[Run]:
    """Return the runs of matrices and of single ids, each once."""
    wanted: dict[Run, None] = {}
    for name in names:
        if name in MATRICES:
            found = MATRICES[name]
        elif "." in name:
            found = [run_of(name)]
        else:
            raise UserError(
                f"found no matrix {name!r}; expected one of {', '.join(MATRICES)}, or a run's id"
            )
        wanted.update(dict.fromkeys(found))
    return list(wanted)
