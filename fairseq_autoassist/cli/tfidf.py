"""The command ``autoassist-tfidf``."""

from __future__ import annotations

import argparse
import sys

from ..errors import AutoAssistError, told
from .common import add_common, terminated_cleanly


def main(argv: list[str] | None = None) -> int:
    """Build the features; returns 0, or 2 after an error that the user can mend (one line)."""
    options = _parser().parse_args(argv)
    # imported late, so that --help and wrong options answer at once
    from ..features.tfidf.build import build_features

    try:
        with terminated_cleanly("autoassist-tfidf"):
            report = build_features(
                options.data_bin,
                options.source_lang,
                options.target_lang,
                options.train_subset,
                options.dest,
                force=options.force,
                progress=not options.no_progress,
                workers=options.workers,
                backend=options.backend,
            )
    except (AutoAssistError, OSError) as error:
        print(f"autoassist-tfidf: error: {told(error)}", file=sys.stderr)
        return 2
    facts = (
        f"{report.rows:,} pairs, {report.dimensions:,} dimensions, {report.nnz:,} non-zeros, "
        f"{report.bytes / 1e6:,.1f} MB"
    )
    where = ", ".join(str(folder) for folder in report.folders)
    if report.reused:
        print(f"autoassist-tfidf: up to date: {facts} in {where} (--force builds them again)")
    else:
        rate = report.rows / max(report.seconds, 1e-9)
        print(f"autoassist-tfidf: {facts}, {rate:,.0f} pairs/s in {where}")
    if report.agreement_command:
        print(
            "autoassist-tfidf: the prior of autoassist-agreement was removed with the old "
            f"features; make it again with: {report.agreement_command}"
        )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="autoassist-tfidf",
        description="Build TF-IDF features of sentence pairs, for training with AutoAssist.",
    )
    add_common(parser, "folder of fairseq-preprocess", "default: DATA_BIN/autoassist")
    parser.add_argument("--force", action="store_true", help="build again what is up to date")
    return parser


if __name__ == "__main__":
    sys.exit(main())
