"""Benchmarks that have targets: ``python -m benchmarks.run``, or ``make bench``.

Prints a table and writes benchmarks/results/bench.json, a list of {name, value, unit, target,
met}. A missed target is printed; the exit status stays 0.
"""

from __future__ import annotations

from typing import Any, Callable, Sequence

from .measure import Result, chosen, command_line, measured, one_thread, save


def benchmarks(tiny: bool) -> dict[str, Callable[[], list[Result]]]:
    """Benchmarks by name; ``tiny`` ones are for tests, and their figures mean nothing."""
    one_thread()
    from . import bench_agreement, bench_deciding, bench_features, bench_learning, bench_training

    rows = 20_000 if tiny else 1_000_000
    size = bench_training.Size()
    if tiny:
        size = bench_training.Size(pairs=300, words=500, max_tokens=200, segment=2, segments=3)
    return {
        "build": lambda: bench_features.build_rate(2000 if tiny else 300_000),
        "agreement": lambda: bench_agreement.agreement_rate(500 if tiny else 20_000),
        "score": lambda: bench_features.score_rate(rows, 2 if tiny else 60),
        "decide": lambda: bench_deciding.decide_rate(rows, 200 if tiny else 20_000),
        "plan": lambda: bench_deciding.plan_rate(rows),
        "learn": lambda: (
            bench_learning.learn_ratio(2000, 20) if tiny else bench_learning.learn_ratio()
        ),
        "train": lambda: bench_training.training_speed(size),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Run benchmarks, and print each row as soon as it is there."""
    names = "build, agreement, score, decide, plan, learn, train"
    parser = command_line("run", names, "bench.json", __doc__)
    arguments = parser.parse_args(argv)
    known = benchmarks(arguments.tiny)
    wanted = chosen(parser, arguments.names, known)
    if "train" in wanted:
        _require_data(parser)
    results = measured(known, wanted)
    save(results, arguments.output)
    print(f"written to {arguments.output}")


def _require_data(parser: Any) -> None:
    """End the command where data are missing, before other benchmarks take minutes."""
    import pytest

    from tests.support.corpus import data_folder

    try:
        data_folder()
    except pytest.skip.Exception as missing:
        parser.error(f"the benchmark train {missing}")


if __name__ == "__main__":
    main()
