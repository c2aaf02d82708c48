"""Tables and pictures of many runs, from their records.

python -m recipes.compare.report recipes/compare/results --out runs/report/compare
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Sequence

from preprocess.text import whole_files
from recipes.common.data import ROOT
from recipes.compare import extreme_pairs, figures, tables, tokens_saved
from recipes.compare.acceptance import ROUNDING, TOKENS, WALL
from recipes.compare.over_settings import WORDS, overview
from recipes.compare.records import Record, load
from recipes.compare.remarks import remarks
from recipes.compare.sections import NEAR, Section, sections
from recipes.compare.significance import SAMPLES, bootstrap
from recipes.compare.taken_out import WORDS as TAKEN_OUT
from recipes.compare.taken_out import remaining, taken_out

READING = """Budgets are shares of the full number of updates; each run's schedule ends with its own
budget. "x" is a ratio to uniform 1.00, plain training over the full budget. Intervals are 95% t
intervals over seeds, of differences paired by seed: over the seeds that both have. All other
figures are means over a row's own seeds, which may be others than another row's. Non-inferior: the
interval of the difference to uniform 1.00 lies above -0.3 BLEU. Losses are in nats per token, not
smoothed; "slice" is held out of training. Times are compared only between runs of one session of
a machine (two of one kind need not be equally fast) with the same threads, jobs side by side and
tuning of the environment; those of runs that shared a GPU depend on how many others there were, and
no verdict rests on them."""
REACHING = """Tokens and time until the mean curve over seeds, smoothed to be rising and straight
between marks, reaches the final BLEU of uniform 1.00; ratios to its whole run."""
SAVED = """To plain training that is as good, by the mean of test and validation BLEU, as in the
table over all settings."""
BY_TOKENS = """BLEU of the mean curve over seeds, straight between marks, at millions of target
tokens trained on: those of the marks of uniform 1.00. Schedules that end earlier are ahead here."""
ACCEPTANCE = f"""Saves: non-inferior with at most {TOKENS:.2f} of the tokens and {WALL:.2f} of the
wall time, to which {ROUNDING} is added: batches are not all of one size, and a share of the updates
is nearly that of the tokens. Better than random: the interval of the difference lies above 0.
Random is the run of it at the same budget, or at another if its tokens are nearer and within
{NEAR:.0%}; at equal budgets, which count updates, random's batches are a little emptier ("tokens to
random"). "-": the records do not say (one seed, no such run, none under the same conditions, or
times of runs that shared a GPU)."""


DRIFT = "What was trained on, in units of all training pairs' mean."
BOOTSTRAP = f"""Paired bootstrap of the test set ({SAMPLES} resamples): each seed by itself, since
two seeds are no two test sets. An interval is the middle 95% over resampled test sets; the runs
stay the same. Better, worse: seeds whose interval lies above or below 0. Last column: the mean over
seeds."""


def _joined(values: Sequence[str]) -> str:
    return ", ".join(sorted(set(values))) or "-"


def head(records: Sequence[Record]) -> str:
    """Where the figures come from: devices, commits, versions, signatures."""
    names = sorted({name for r in records for name in r.versions})
    versions = [
        f"{n} {_joined([r.versions[n] for r in records if n in r.versions])}" for n in names
    ]
    metrics = sorted({name for r in records for name in r.signatures})
    lines = [
        f"- runs: {len(records)}",
        f"- devices: {_joined([r.device for r in records])}",
        f"- commits: {_joined([r.commit for r in records])}",
        f"- versions: {'; '.join(versions) or '-'}",
    ]
    for name in metrics:
        texts = _joined([r.signatures[name] for r in records if name in r.signatures])
        lines.append(f"- {name}: {texts}")
    return "\n".join(lines)


def part(title: str, body: str, words: str = "") -> list[str]:
    """A heading with its text, or nothing where there is no body."""
    return [text for text in (f"### {title}", words, body) if text] if body else []


def section_parts(section: Section) -> list[str]:
    """The tables of one section that need its records alone."""
    parts = part("Cost", tables.costs(section))
    parts += part("Quality", tables.quality(section))
    parts += part("To the baseline's final BLEU", tables.reaching(section), REACHING)
    parts += part("Tokens saved here", tokens_saved.section_table(section), SAVED)
    parts += part("BLEU by tokens", tables.by_tokens(section), BY_TOKENS)
    parts += part("Validation BLEU by tokens", tables.by_tokens(section, "valid_BLEU"))
    parts += part("Drift", tables.drift(section), DRIFT)
    return parts + part("Labels", tables.labels(section), "Share of considered pairs trained on.")


def tested_parts(section: Section, corpora: Path | None, out: Path) -> list[str]:
    """What needs the translations, counts and text of a section; writes its lists into `out`."""
    print(f"{section.title}: paired bootstrap", file=sys.stderr, flush=True)
    tests, untested = bootstrap(section, corpora)
    files, unlisted = extreme_pairs.write(section, corpora, out)
    parts = part("Paired bootstrap", tables.significance(tests) if tests else "", BOOTSTRAP)
    listed = "\n".join(f"- [{path.name}]({path.name})" for path in files)
    parts += part("Most kept, most skipped", listed)
    said = [*remarks(section), *untested, *unlisted]
    return parts + part("Remarks", "\n".join(f"- {remark}" for remark in said))


def whole_parts(records: Sequence[Record], found: Sequence[Section]) -> list[str]:
    """The tables over all sections."""
    parts = part("Over all settings", overview(found), WORDS)
    parts += part("Acceptance", tables.acceptance(found), ACCEPTANCE)
    parts += part("Taken out", taken_out(records), TAKEN_OUT)
    return [line.replace("###", "##", 1) for line in parts]


def quotable(records: Sequence[Record]) -> str:
    """All tables that need the records alone: what documents quote."""
    found = sections(remaining(records))
    parts = whole_parts(records, found)
    for section in found:
        parts += [f"## {section.title}", *section_parts(section)]
    return "\n\n".join(parts) + "\n"


def compose(records: Sequence[Record], corpora: Path | None, out: Path) -> str:
    """Write pictures and lists into `out` and return the text of the report."""
    found = sections(remaining(records))
    parts = ["# Comparison of strategies", head(records), READING, *whole_parts(records, found)]
    for corpus in sorted({section.corpus for section in found}):
        own = [section for section in found if section.corpus == corpus]
        for section in own:
            parts += [f"## {section.title}", *section_parts(section)]
            parts += tested_parts(section, corpora, out)
        pictures = figures.draw(corpus, own, out)
        links = "\n".join(f"![{path.stem}]({path.name})" for path in pictures)
        parts += [f"## {corpus}: pictures", links]
    return "\n\n".join(parts) + "\n"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "records", nargs="+", type=Path, help="folders of packed or trained runs, or record.json"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "report")
    parser.add_argument(
        "--corpora",
        type=Path,
        help="folder of recipes.compare.prepare (default: beside runs/, else runs/compare/corpora)",
    )
    options = parser.parse_args(arguments)
    text = compose(load(options.records), options.corpora, options.out)
    path = options.out / "report.md"
    with whole_files(path) as (stream,):
        stream.write(text)
    print(text)
    print(f"report: {path}", flush=True)


if __name__ == "__main__":
    main()
