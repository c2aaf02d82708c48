"""The command ``autoassist-agreement``.

    autoassist-agreement DATA_BIN [--examples N] [--export FILE] [--workers N]

It judges whether the two sides of each pair are translations of each other, by the binarised corpus
alone. The prior lies beside the features of autoassist-tfidf; the planner multiplies P(keep) by it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import AutoAssistError, told
from .common import add_common, positive, printed, terminated_cleanly

if TYPE_CHECKING:
    from ..features.agreement.build import AgreementReport

NAME = "autoassist-agreement"


def main(argv: list[str] | None = None) -> int:
    """Write the prior; returns 0, or 2 after an error that the user can mend (one line)."""
    options = _parser().parse_args(argv)
    # imported late, so that --help and wrong options answer at once
    from ..features.agreement.build import build_agreement
    from ..features.agreement.writing import check_export, export

    try:
        if options.export:
            check_export(Path(options.export))
        with terminated_cleanly(NAME):
            report = build_agreement(
                options.data_bin,
                options.source_lang,
                options.target_lang,
                options.train_subset,
                options.dest,
                options.sample,
                progress=not options.no_progress,
                workers=options.workers,
                backend=options.backend,
            )
            if options.export:
                export(report.prior, Path(options.export))
            with printed():
                _tell(report, options)
    except (AutoAssistError, OSError) as error:
        print(f"{NAME}: error: {told(error)}", file=sys.stderr)
        return 2
    return 0


def _tell(report: AgreementReport, options: argparse.Namespace) -> None:
    """Print the verdict, the table and the examples."""
    from ..features.agreement.report import examples, table

    told = report.told
    where = ", ".join(map(str, report.folders))
    if not told["enough_pairs"]:
        print(
            f"{NAME}: {told['pairs']:,} pairs are too few to tell junk from translations (1,000 "
            f"are needed): every prior is 1, in {where}"
        )
    else:
        wrong = ", ".join(f"{count:,} {name}" for name, count in told["wrong_language"].items())
        print(
            f"{NAME}: {told['pairs']:,} pairs, {told['null_share']:.1%} of those in the right "
            f"languages are no translations; sides in the wrong language: {wrong}; copies: "
            f"{told['copies']:,}; mean prior {told['mean_prior']:.3f}; "
            f"{told['pairs'] / max(report.seconds, 1e-9):,.0f} pairs/s in {where}"
        )
        print(table(report.prior, report.low))
    if options.examples:
        print(examples(report.prior, report.low, report.shards, options.examples))


def _parser() -> argparse.ArgumentParser:
    from ..features.agreement.learning import SAMPLE

    parser = argparse.ArgumentParser(
        prog=NAME,
        description="Judge by the corpus alone how likely each pair is a translation: the prior.",
    )
    beside = "with features of autoassist-tfidf"
    add_common(parser, beside, "that of autoassist-tfidf, if it had one")
    add = parser.add_argument
    add(
        "--sample",
        type=positive,
        default=SAMPLE,
        metavar="N",
        help="pairs to learn from, at most (default: %(default)s)",
    )
    add("--examples", type=positive, metavar="N", help="print N best, worst and doubtful pairs")
    add("--export", metavar="FILE", help="write the prior as text too, a number a line")
    return parser


if __name__ == "__main__":
    sys.exit(main())
