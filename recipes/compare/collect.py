"""Pack finished runs for keeping: their records, translations, and counts of each pair's use.

    python -m recipes.compare.collect runs/compare recipes/compare/results

Models, traces and logs are not packed. A packed run of the same name, updates and device is
replaced; all others stay. The report reads both forms.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from preprocess.text import UserError
from recipes.common.jsonfile import read_json
from recipes.compare import packed
from recipes.compare.records import parse


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
    lines = packed.read_lines_of(dest / packed.RECORDS) if (dest / packed.RECORDS).is_file() else []
    kept = {packed.key_of(raw): raw for raw in map(json.loads, lines)}
    members = dict(packed.read_archive(dest / packed.ARCHIVE))
    fresh: list[str] = []
    replaced: list[str] = []
    for path in paths:
        raw = read_json(path)
        parse(raw, path.parent, str(path))
        key = packed.key_of(raw)
        (replaced if key in kept else fresh).append(raw["run"])
        kept[key] = raw
        for name in (packed.HYPOTHESES, packed.COUNTS):
            members[f"{key}/{name}"] = (path.parent / name).read_bytes()
    packed.write(dest, list(kept.values()), members)
    return fresh, replaced


def main(arguments: list[str] | None = None) -> None:
    """Pack the finished runs of a folder; print which were added and replaced."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path, metavar="OUT", help="that of recipes.compare.run")
    parser.add_argument("dest", type=Path, metavar="DEST", help="folder of packed runs")
    options = parser.parse_args(arguments)
    fresh, replaced = collect(options.out, options.dest)
    for what, names in (("added", fresh), ("replaced", replaced)):
        print(f"{what} in {options.dest}: {', '.join(names) or 'none'}")


if __name__ == "__main__":
    main()
