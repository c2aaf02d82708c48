"""Runs by name: what is one run, and which runs make an experiment."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, replace
from typing import Callable, Collection, Sequence

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
    """A corpus, an architecture, an arm, a budget (share of the full number of updates), a seed,
    and that full number where it is another than that of `settings`."""

    corpus: str
    architecture: str
    arm: str
    budget: float
    seed: int
    full: int | None = None

    @property
    def id(self) -> str:
        """`multi30k.transformer.paper.b070.s1`, with `.u3600` behind it for another full number of
        updates: also the name of its folder."""
        percent, full = round(100 * self.budget), f".u{self.full}" if self.full else ""
        return f"{self.corpus}.{self.architecture}.{self.arm}.b{percent:03d}.s{self.seed}{full}"

    @property
    def training(self) -> Training:
        """How the model is trained when the budget is 1."""
        return training_of(self.architecture, self.corpus, self.full)

    @property
    def updates(self) -> int:
        """Updates of this run, to which its learning rate falls to 0."""
        return max(1, round(self.training.updates * self.budget))

    @property
    def followed(self) -> Run | None:
        """The run whose log or model this one reads, so that it must come first."""
        arm = ARMS[self.arm]
        if arm.reference:  # one for all runs on a corpus
            return Run(self.corpus, arm.reference, "uniform", 1.0, 1)
        return replace(self, arm=arm.follows) if arm.follows else None


def run_of(name: str) -> Run:
    """The run of an id; one that names nothing known is refused."""
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
    corpora: Sequence[str],
    architectures: Sequence[str],
    arms: Sequence[str],
    budgets: Sequence[float],
    seeds: Sequence[int],
) -> list[Run]:
    """All combinations; seeds outermost, so that a matrix cut short is whole for some seeds."""
    return [
        Run(corpus, architecture, arm, budget, seed)
        for seed, corpus, architecture, budget, arm in itertools.product(
            seeds, corpora, architectures, budgets, arms
        )
    ]


_ALL = ("uniform", "random", "paper", "easy", "spl", "infobatch", "competence")
_CRAWL = ("uniform", "random", "prior", "default")
_PLATEAU = ("random", "easy", "paper", "spl", "infobatch")
# in the order of their weight as evidence
_CRAWL_CORPORA = ("mix77", "mdn-de", "mix00", "mdn-ja", "mix50", "mix25")


def _crawl_order(run: Run) -> tuple[int, int]:
    """By seed, then by corpus."""
    return run.seed, _CRAWL_CORPORA.index(run.corpus)


MATRICES: dict[str, Callable[[], list[Run]]] = {
    "smoke": lambda: _grid(["multi30k"], ["tiny"], ["uniform", "paper"], [1.0], [1]),
    "baseline": lambda: _grid(
        ["multi30k", "tatoeba", "msdocs", "noisy"], ["transformer"], ["uniform"], [1.0, 0.7], [1]
    ),
    "multi30k": lambda: _grid(["multi30k"], ["transformer"], _ALL, [1.0, 0.7], [1, 2, 3]),
    "redundant-noisy": lambda: _grid(
        ["tatoeba", "msdocs"],
        ["transformer"],
        ["uniform", "random", "paper", "easy", "infobatch"],
        [1.0, 0.7],
        [1, 2, 3],
    ),
    # what two CPU cores do in some sessions of three hours, nearer to a plateau than the rest
    "small-batch": lambda: (
        _grid(["multi30k", "tatoeba"], ["small-batch"], ["uniform"], [1.0], [1, 2, 3])
        + _grid(["multi30k", "tatoeba"], ["small-batch"], ["random", "easy"], [0.7], [1, 2, 3])
        + _grid(["multi30k"], ["small-batch"], ["progress", "excess"], [0.7], [1])
    ),
    "low-dropout": lambda: (
        _grid(["multi30k"], ["low-dropout"], ["uniform"], [1.0], [1, 2, 3])
        + _grid(["multi30k"], ["low-dropout"], _PLATEAU, [0.7], [1, 2, 3])
        + _grid(["noisy"], ["low-dropout"], ["uniform"], [1.0], [1])
        # in large batches the band had 0.72 of the tokens with 0.70 of the updates
        + _grid(["noisy"], ["low-dropout"], ["random", "easy"], [0.67], [1])
    ),
    # short sentences fill batches better: 0.67 of the updates is 0.70 of the tokens
    "curriculum": lambda: [
        replace(run, full=8000)
        for run in _grid(["msdocs"], ["small-batch"], ["uniform"], [1.0], [1])
        + _grid(["msdocs"], ["small-batch"], ["random"], [0.7], [1, 2, 3])
        + _grid(
            ["msdocs"],
            ["small-batch"],
            ["easy-competence", "competence", "hard-competence"],
            [0.67],
            [1, 2, 3],
        )
        + _grid(["msdocs"], ["small-batch"], ["easy-competence-short"], [0.67], [1])
        + _grid(["msdocs"], ["small-batch"], ["easy-unguarded"], [0.7], [1])
    ],
    # twice as long: whether the lead lasts
    "curriculum-long": lambda: [
        replace(run, full=16000)
        for run in _grid(["msdocs"], ["small-batch"], ["uniform"], [1.0], [1])
        + _grid(["msdocs"], ["small-batch"], ["random"], [0.7], [1])
        + _grid(["msdocs"], ["small-batch"], ["hard-competence"], [0.67], [1])
    ],
    # a model of a published size, to its end: how far plain training gets
    "published": lambda: _grid(["multi30k-lower"], ["published"], ["uniform"], [1.0], [1]),
    "labels": lambda: _grid(["noisy"], ["transformer"], _ALL, [1.0], [1]),
    "architectures": lambda: _grid(
        ["multi30k"],
        ["lstm", "fconv", "wide"],
        ["uniform", "random", "paper", "easy"],
        [1.0, 0.7],
        [1],
    ),
    # raw crawl; the seeds of the noisiest corpus first, then those of the cleanest
    "crawl": lambda: [
        *_grid(["mix77"], ["crawl"], _CRAWL, [1.0], [1]),
        *_grid(["mix77"], ["crawl"], ["oracle", "hard-filter", "easy", "paper"], [1.0], [1]),
        *_grid(["mix00"], ["crawl"], _CRAWL, [1.0], [1]),
        *_grid(["mix50", "mix25"], ["crawl"], _CRAWL, [1.0], [1]),
        *_grid(["mix77", "mix00"], ["crawl"], _CRAWL, [1.0], [2, 3]),
    ],
    "crawl-mdn": lambda: _grid(["mdn-de", "mdn-ja"], ["crawl"], _CRAWL, [1.0], [1, 2, 3]),
    # both, each setting once before any has a second seed
    "crawl-all": lambda: sorted([*MATRICES["crawl"](), *MATRICES["crawl-mdn"]()], key=_crawl_order),
    # where there is a GPU; the rest of the machine is the limit, so many runs go side by side
    "gpu": lambda: _grid(
        ["multi30k", "tatoeba", "msdocs", "noisy"],
        ["transformer"],
        ["uniform", "random", "paper", "easy", "spl", "infobatch"],
        [1.0, 0.7],
        [1, 2, 3, 4, 5],
    ),
}


def runs_of(names: Sequence[str]) -> list[Run]:
    """The runs of matrices and of single ids, each once; a run comes after the one it follows."""
    wanted: dict[Run, None] = {}
    for name in names:
        if name in MATRICES:
            found = MATRICES[name]()
        elif "." in name:
            found = [run_of(name)]
        else:
            raise UserError(
                f"found no matrix {name!r}; expected one of {', '.join(MATRICES)}, or a run's id"
            )
        for run in found:
            if run.followed is not None:
                wanted.setdefault(run.followed)
            wanted.setdefault(run)
    return list(wanted)
