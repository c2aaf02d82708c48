"""Pack finished runs for keeping: their records, translations, and counts of each pair's use.

    python -m recipes.compare.collect runs/compare recipes/compare/results

Models, traces and logs are not packed. A packed run of the same name, updates and device is
replaced; all others stay. The report reads both forms.
"""

from __future__ import annotations

import argparse
import io
import json
from pathlib import Path

import numpy as np

from preprocess.text import UserError, read_lines
from recipes.compare.packed import (
    ARCHIVE,
    COUNTS,
    HYPOTHESES,
    RECORDS,
    Members,
    Raw,
    key_of,
    read_archive,
    read_lines_of,
    write,
)
from recipes.compare.records import parse

# arms of commit 09608b5 and before -> their names since
RENAMED = {
    "easy": "band",
    "easy-sharp": "band-sharp",
    "easy-unguarded": "band-unguarded",
    "easy-competence": "band-competence",
    "hard-competence": "paper-competence",
    "prior-assistant-floor3": "band-prior",
}
MOVING = "--autoassist-band"  # the flag of an arm that had the name `band` then, and was taken out


def renamed(raw: Raw) -> Raw:
    """The record under its arm's current name."""
    moving = MOVING in raw["settings"]["flags"]
    arm: str = "moving-band" if moving else RENAMED.get(raw["arm"]) or raw["arm"]
    corpus, architecture, _, rest = raw["run"].split(".", 3)
    return {**raw, "arm": arm, "run": ".".join([corpus, architecture, arm, rest])}


def _files(folder: Path, key: str) -> Members:
    counts, stream = np.load(folder / COUNTS), io.BytesIO()
    np.save(stream, counts.astype(np.min_scalar_type(int(counts.max()))))
    translations = (folder / HYPOTHESES).read_bytes()
    return {f"{key}/{HYPOTHESES}": translations, f"{key}/{COUNTS}": stream.getvalue()}


def collect(out: Path, dest: Path) -> tuple[list[str], list[str]]:
    """Pack every finished run of `out` into `dest`; return the ids of new and of replaced ones.

    Raises:
        UserError: there is no finished run, or a record is incomplete
    """
    paths = sorted(out.glob("runs/*/record.json"))
    if not paths:
        raise UserError(
            f"{out} has no finished run, expected runs/ID/record.json; run `python -m "
            f"recipes.compare.run MATRIX --out {out}` first"
        )
    lines = read_lines_of(dest / RECORDS) if (dest / RECORDS).is_file() else []
    kept = {key_of(raw): raw for raw in map(json.loads, lines)}
    members = dict(read_archive(dest / ARCHIVE))
    fresh: list[str] = []
    replaced: list[str] = []
    for path in paths:
        raw = json.loads("\n".join(read_lines(path)))
        parse(raw, path.parent, str(path))
        raw = renamed(raw)
        key = key_of(raw)
        (replaced if key in kept else fresh).append(raw["run"])
        kept[key] = raw
        members.update(_files(path.parent, key))
    write(dest, list(kept.values()), members)
    return fresh, replaced


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path, metavar="OUT", help="that of recipes.compare.run")
    parser.add_argument("dest", type=Path, metavar="DEST", help="folder of packed runs")
    options = parser.parse_args(arguments)
    fresh, replaced = collect(options.out, options.dest)
    for what, names in (("added", fresh), ("replaced", replaced)):
        print(f"{what} in {options.dest}: {', '.join(names) or 'none'}")


if __name__ == "__main__":
    main()
