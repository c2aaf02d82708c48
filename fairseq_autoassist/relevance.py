"""The command ``autoassist-relevance``: how much each training pair is like the validation set.

    autoassist-relevance DATA_BIN [--valid-subset valid] [--share 0.02] [--dest FOLDER]

Written beside the features, one float32 a pair, for ``--autoassist-relevance`` and the strategy
``relevance``. What it is: `core/relevance.py`.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import AutoAssistError, FeatureError

if TYPE_CHECKING:
    from .core.features import Features

NAME = "autoassist-relevance"


def main(argv: list[str] | None = None) -> int:
    """Write it; 0 on success, 2 on an error the user can mend (one line on stderr)."""
    options = _parser().parse_args(argv)
    try:
        said = _write(options)
    except (AutoAssistError, OSError) as error:
        print(f"{NAME}: error: {error}", file=sys.stderr)
        return 2
    print(f"{NAME}: {said}")
    return 0


def _write(options: argparse.Namespace) -> str:
    """Fit, then write every file; returns what there is to say."""
    # late, so that --help and wrong options answer at once
    from .core.features import RELEVANCE_NAME
    from .tfidf.corpus import infer_languages, open_shard, split_shards
    from .tfidf.ratio import fit, relevances, validation_rows
    from .tfidf.staging import write_beside

    data_bins = split_shards(options.data_bin)
    given = options.source_lang, options.target_lang
    languages = infer_languages(data_bins[0], options.train_subset, *given)
    features = _features(options, data_bins, languages)
    valid = open_shard(
        data_bins[0], data_bins[0], options.valid_subset, *languages, trained_on=False
    )
    fitted = fit(validation_rows(valid, features), features)
    found = relevances(fitted, features, options.share)
    paths = [one.folder / RELEVANCE_NAME for one in features]
    for path, values in zip(paths, found):
        write_beside(path, values)
    pairs = sum(len(values) for values in found)
    mean = sum(float(values.sum()) for values in found) / pairs
    return (
        f"{pairs:,} pairs held against {valid.rows:,} of {options.valid_subset}: "
        f"{_verdict(fitted.auc, fitted.log_loss)}; mean relevance {mean:.3f}; in "
        f"{', '.join(map(str, paths))}"
    )


def _features(
    options: argparse.Namespace, data_bins: list[Path], languages: tuple[str, str]
) -> list[Features]:
    """Those of all data-bins, after a check that they fit them and one another."""
    from .core.features import Features, feature_folder
    from .core.manifest import build_command
    from .tfidf.corpus import open_shard

    subset, dest = options.train_subset, options.dest
    if dest and len(data_bins) > 1:
        raise FeatureError("--dest takes one DATA_BIN, found several: leave --dest out")
    folders = [feature_folder(data_bin, subset, *languages, dest) for data_bin in data_bins]
    command = build_command(options.data_bin, subset, languages, dest)
    features = Features.open_all(folders, command)
    for data_bin, one in zip(data_bins, features):
        one.check(open_shard(data_bin, data_bins[0], subset, *languages).fingerprint())
    return features


def _verdict(auc: float, loss: float) -> str:
    """What the user should know before choosing by relevance."""
    facts = (
        f"AUC {auc:.3f} on pairs not learned from, log loss {loss:.3f} (chance {math.log(2):.3f})"
    )
    if loss > 0.95 * math.log(2):
        return f"{facts}: hardly told apart, there is little to choose by"
    return facts


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=NAME, description="How much each training pair is like the validation set."
    )
    add = parser.add_argument
    add("data_bin", metavar="DATA_BIN", help="with features of autoassist-tfidf, or shards a:b")
    add("-s", "--source-lang", metavar="LANG", help="default: from the file names")
    add("-t", "--target-lang", metavar="LANG", help="default: from the file names")
    add("--train-subset", default="train", metavar="NAME", help="default: %(default)s")
    add(
        "--valid-subset",
        default="valid",
        metavar="NAME",
        help="pairs of the kind that the model is for (default: %(default)s)",
    )
    add(
        "--share",
        type=_share,
        default=0.02,
        metavar="P",
        help="share of the training pairs, those most like them, that gets relevance 1 (default: "
        "%(default)s)",
    )
    add("--dest", metavar="FOLDER", help="that of autoassist-tfidf, if it had one")
    return parser


def _share(text: str) -> float:
    value = float(text)
    if not 0.0 < value <= 1.0:
        raise argparse.ArgumentTypeError(f"found {value}, expected more than 0 and at most 1")
    return value


if __name__ == "__main__":
    sys.exit(main())
