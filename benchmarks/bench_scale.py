"""Benchmark at the size of WMT14 English-German, on generated data: ``make bench-scale``.

It generates 4.5 million pairs, builds features, plans passes and starts a run. It prints a table
and writes benchmarks/results/bench_scale.json, a list of {name, value, unit, target, met}. A missed
target is printed; the exit status stays 0. The data (about 2.5 GB) lie in a temporary folder, or in
that of --keep, which a later call reuses. docs/capacity.md computes from these figures.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable, Iterator, Sequence

from .measure import (
    Result,
    chosen,
    command_line,
    informative,
    line,
    measured,
    one_thread,
    save,
)

PAIRS = 4_500_000
_TINY = 20_000
_BATCHES = 1500  # enough to fill the open buckets
_GENERATED = "generated"  # file with the number of pairs, written last: the corpus is complete


def benchmarks(data_bin: Path, tiny: bool) -> dict[str, Callable[[], list[Result]]]:
    """Benchmarks by name; ``tiny`` ones are for tests, and their figures mean nothing."""
    one_thread()
    from . import bench_scale_features, bench_scale_plan, bench_scale_run

    pairs = _TINY if tiny else PAIRS
    sizes = (pairs // 10, pairs, pairs * 10)
    worlds = (1, 2) if tiny else bench_scale_run.WORLDS
    features = data_bin / "autoassist" / "train.en-de"
    return {
        "features": lambda: bench_scale_features.building(data_bin, pairs),
        "agreement": lambda: bench_scale_features.judging(data_bin, pairs),
        "start": lambda: bench_scale_run.starting(data_bin, pairs, 20 if tiny else _BATCHES),
        "plan": lambda: bench_scale_plan.real_pass(features, pairs),
        "memory": lambda: bench_scale_run.memory(features, pairs, worlds),
        "sizes": lambda: bench_scale_plan.by_size(sizes),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Run benchmarks, and print each row as soon as it is there."""
    names = "features, agreement, start, plan, memory, sizes"
    parser = command_line("bench_scale", names, "bench_scale.json", __doc__)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="folder for the data, which stay")
    arguments = parser.parse_args(argv)
    with _data_folder(arguments.keep) as folder:
        known = benchmarks(folder, arguments.tiny)
        wanted = chosen(parser, arguments.names, known)
        results = [informative("load of the machine, when it began", os.getloadavg()[0], "")]
        results += _generated(folder, _TINY if arguments.tiny else PAIRS)
        if "features" not in wanted and not (folder / "autoassist").exists():
            known["features"]()  # the other benchmarks read them
        for result in results:
            print(line(result), flush=True)
        results += measured(known, wanted)
    results.append(informative("load of the machine, when it ended", os.getloadavg()[0], ""))
    print(line(results[-1]))
    save(results, arguments.output)
    print(f"written to {arguments.output}")


@contextlib.contextmanager
def _data_folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="autoassist-scale-") as name:
        yield Path(name)


def _generated(folder: Path, pairs: int) -> list[Result]:
    """Generate the corpus, unless the folder holds it."""
    from .bench_scale_data import write_corpus

    marker = folder / _GENERATED
    if marker.exists():
        found = marker.read_text(encoding="utf-8")
        if found != str(pairs):
            sys.exit(f"{folder} holds a corpus of {found} pairs, expected {pairs}: name another")
        return []
    began = time.perf_counter()
    write_corpus(folder, pairs)
    marker.write_text(str(pairs), encoding="utf-8")
    return [informative(f"generating {pairs:,} pairs", time.perf_counter() - began, "s")]


if __name__ == "__main__":
    main()
