"""Run plain training and AutoAssist's defaults on raw crawl, side by side: `make crawl`.

    python -m recipes.crawl.run [--out runs/crawl]
    python -m recipes.crawl.run --source FILE --target FILE --source-lang en --target-lang de

The second form takes your own noisy corpus, one sentence per line. Finished steps are skipped.
Corpus, training, evaluation and records are those of `recipes.compare`.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
from pathlib import Path

from preprocess.text import UserError
from recipes.common.data import ROOT
from recipes.common.steps import stoppable
from recipes.compare import prepare
from recipes.compare.matrices import OWN, run_of
from recipes.compare.run import run_matrix
from recipes.crawl import report
from recipes.crawl.own import Own, own_of

MIX = "mix77"
ARMS = ("uniform", "default")
UPDATES = 3000  # of 1,024 tokens: two trainings side by side in 25 minutes on two cores
VOCAB = 8000  # pieces, for a user's own corpus
SEED = 1
# makes glibc keep freed memory, which PyTorch asks for again with every tensor
MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": "4000000000",
    "MALLOC_TRIM_THRESHOLD_": "8000000000",
    "MALLOC_TOP_PAD_": "268435456",
}


def prepare_corpus(own: Own | None, vocab: int, corpora: Path) -> str:
    """Make the corpus, or reuse it; return its name."""
    if own is None:
        prepare.prepare(MIX, corpora)
        return MIX
    prepare.build(
        corpora / OWN,
        own.settings(),
        vocab,
        own.split,
        own.langs,
        normalization="identity",  # for any script
    )
    return OWN


def crawl(options: argparse.Namespace) -> int:
    """Prepare, train twice, evaluate and report; return the exit status."""
    own = own_of(options)
    out: Path = options.out
    corpora = out / "corpora"
    corpus = prepare_corpus(own, options.vocab, corpora)
    begun = time.monotonic()
    names = [f"{corpus}.crawl.{arm}.b100.s{SEED}.u{options.updates}" for arm in ARMS]
    runs = [run_of(name) for name in names]
    for name, value in MALLOC.items():
        os.environ.setdefault(name, value)
    queue = {"matrix": names, "jobs": options.jobs, "out": out, "corpora": corpora}
    status = run_matrix(argparse.Namespace(**queue, cpu=options.cpu))
    if status == 0:
        text = report.write([out / "runs" / run.id for run in runs], out)
        print(f"\n{text}\n\npicture: {out / 'crawl.png'}")
        print(f"both trainings took {(time.monotonic() - begun) / 60:.1f} min", flush=True)
    return status


def main(arguments: list[str] | None = None) -> None:
    """Run the comparison on raw crawl; exit with its status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "crawl")
    for part, what in (("", "train"), ("valid-", "validate"), ("test-", "test")):
        for side in ("source", "target"):
            text = f"{side} text to {what} on, one sentence per line"
            parser.add_argument(f"--{part}{side}", type=Path, metavar="FILE", help=text)
    parser.add_argument("--source-lang", help="source language of your own corpus, such as en")
    parser.add_argument("--target-lang", help="target language of your own corpus, such as de")
    parser.add_argument("--vocab", type=int, default=VOCAB, help="pieces for your own corpus")
    parser.add_argument("--updates", type=int, default=UPDATES, help="updates of each training")
    parser.add_argument("--jobs", type=int, default=2, help="trainings side by side")
    parser.add_argument("--cpu", action="store_true", help="use no GPU, even if there is one")
    options = parser.parse_args(arguments)
    for name in ("updates", "jobs"):
        if getattr(options, name) < 1:
            raise UserError(f"--{name} is {getattr(options, name)}; expected 1 or more")
    words = shlex.join(arguments or sys.argv[1:])
    with stoppable(f"python -m recipes.crawl.run {words}" if words else "make crawl"):
        status = crawl(options)
    sys.exit(status)


if __name__ == "__main__":
    main()
