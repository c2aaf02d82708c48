"""Gather finished runs for keeping: their records, translations, and how often each pair was used.

    python -m recipes.compare.collect runs/compare recipes/compare/results/NAME

Models, traces and logs stay behind. NAME is written anew; the report reads it as it reads OUT.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np

from preprocess.text import UserError
from recipes.compare.run import gather


def collect(out: Path, dest: Path) -> list[str]:
    """Copy every finished run of `out`; return their ids.

    Raises:
        UserError: there is none, or `dest` is where runs were trained
    """
    if any(dest.glob("runs/*/record.json")):
        raise UserError(f"{dest} holds runs as they were trained, expected a folder for copies")
    names = [path.parent.name for path in sorted(out.glob("runs/*/record.json"))]
    if not names:
        raise UserError(
            f"{out} has no finished run, expected runs/ID/record.json; run `python -m "
            f"recipes.compare.run MATRIX --out {out}` first"
        )
    (dest / "records.jsonl").unlink(missing_ok=True)  # written last: without it nothing is whole
    if (dest / "runs").is_dir():
        shutil.rmtree(dest / "runs")
    for name in names:
        source, target = out / "runs" / name, dest / "runs" / name
        target.mkdir(parents=True)
        shutil.copyfile(source / "test.hyp.txt", target / "test.hyp.txt")
        counts = np.load(source / "counts.npy")
        np.save(target / "counts.npy", counts.astype(np.min_scalar_type(int(counts.max()))))
    gather(out)
    shutil.copyfile(out / "records.jsonl", dest / "records.jsonl")
    return names


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path, metavar="OUT", help="that of recipes.compare.run")
    parser.add_argument("dest", type=Path, metavar="DEST", help="a folder for them alone")
    options = parser.parse_args(arguments)
    names = collect(options.out, options.dest)
    print(f"{len(names)} runs in {options.dest}: {', '.join(names)}")


if __name__ == "__main__":
    main()
