"""Tables and pictures of many runs, from their records.

python -m recipes.compare.report recipes/compare/results --out runs/report/compare
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Callable, Iterable, Sequence

from preprocess.text import whole_files
from recipes.common.data import ROOT
from recipes.compare import acceptance, figures, over_settings, tables, taken_out
from recipes.compare.records import Record, load
from recipes.compare.remarks import remarks
from recipes.compare.sections import Section, sections
from recipes.compare.significance import SAMPLES, bootstrap

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
BY_TOKENS = """BLEU of the mean curve over seeds, straight between marks, at millions of target
tokens trained on: those of the marks of uniform 1.00. Schedules that end earlier are ahead here."""
LABELS = "Share of considered pairs trained on."
BOOTSTRAP = f"""Mean over seeds of the difference, and the middle 95% of it over {SAMPLES} resampled
test sets. The runs stay the same, so it says nothing of other seeds."""


def _joined(values: Iterable[str]) -> str:
    return ", ".join(sorted(set(values))) or "-"


def head(records: Sequence[Record]) -> str:
    """Where the figures come from: devices, commits, versions, signatures."""
    lines = [
        f"- runs: {len(records)}",
        f"- devices: {_joined(r.device for r in records)}",
        f"- commits: {_joined(r.commit for r in records)}",
    ]
    for found in ([r.versions for r in records], [r.signatures for r in records]):
        for name in sorted({name for each in found for name in each}):
            lines.append(f"- {name}: {_joined(each[name] for each in found if name in each)}")
    return "\n".join(lines)


def part(title: str, body: str, words: str = "") -> list[str]:
    """A heading with its text, or nothing where there is no body."""
    return [text for text in (title, words, body) if text] if body else []


def section_parts(section: Section) -> list[str]:
    """The tables of one section that need its records alone."""
    return [
        *part("### Cost", tables.costs(section)),
        *part("### Quality", tables.quality(section)),
        *part("### To the baseline's final BLEU", tables.reaching(section), REACHING),
        *part("### BLEU by tokens", tables.by_tokens(section), BY_TOKENS),
        *part("### Labels", tables.labels(section), LABELS),
    ]


def tested_parts(section: Section, corpora: Path | None) -> list[str]:
    """The bootstrap, which needs the translations and the test set, and the remarks."""
    print(f"{section.title}: paired bootstrap", file=sys.stderr, flush=True)
    tests, untested = bootstrap(section, corpora)
    said = "\n".join(f"- {remark}" for remark in [*remarks(section), *untested])
    found = part("### Paired bootstrap", tables.significance(tests), BOOTSTRAP)
    return [*found, *part("### Remarks", said)]


def quotable(
    records: Sequence[Record], further: Callable[[Section], list[str]] = lambda section: []
) -> str:
    """All tables that need the records alone: what documents quote.

    Args:
        further: parts of a section behind its tables
    """
    found = sections(taken_out.remaining(records))
    parts = [
        *part("## Over all settings", over_settings.overview(found), over_settings.WORDS),
        *part("## Acceptance", acceptance.acceptance(found), acceptance.WORDS),
        *part("## Taken out", taken_out.taken_out(records), taken_out.WORDS),
    ]
    for section in found:
        parts += [f"## {section.title}", *section_parts(section), *further(section)]
    return "\n\n".join(parts) + "\n"


def compose(records: Sequence[Record], corpora: Path | None, out: Path) -> str:
    """Write a picture for each corpus into `out` and return the text of the report."""
    body = quotable(records, lambda section: tested_parts(section, corpora))
    parts = ["# Comparison of strategies", head(records), READING, body, "## Pictures"]
    found = sections(taken_out.remaining(records))
    for corpus in sorted({section.corpus for section in found}):
        figures.draw([s for s in found if s.corpus == corpus], out / f"{corpus}.png")
        parts.append(f"![{corpus}]({corpus}.png)")
    return "\n\n".join(parts) + "\n"


def main(arguments: list[str] | None = None) -> None:
    """Write the report and its pictures; print the report and its path."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("records", nargs="+", type=Path, help="folders of runs, or record.json")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "report")
    places = "default: beside runs/, else runs/compare/corpora"
    parser.add_argument("--corpora", type=Path, help=places)
    options = parser.parse_args(arguments)
    text = compose(load(options.records), options.corpora, options.out)
    path = options.out / "report.md"
    with whole_files(path) as (stream,):
        stream.write(text)
    print(text)
    print(f"report: {path}", flush=True)


if __name__ == "__main__":
    main()
