"""Cost of several ranks on the CPU of one machine: ``make bench-ranks``.

Prints a table and writes benchmarks/results/bench_ranks.json, a list of {name, value, unit, target,
met}. A missed target is printed; the exit status stays 0.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import statistics
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Callable, Sequence

import numpy as np

from .measure import (
    REPEATS,
    Result,
    at_most,
    chosen,
    command_line,
    core_clock,
    informative,
    measured,
    one_thread,
    save,
)

WORLDS = (1, 2, 4)
GROWTH_TARGET = 1.1  # time to plan a micro-batch at 4 ranks, over that at 1
BYTES_TARGET = 16  # per pair and rank, beside the mapped features
_FEW = 4000  # pairs, so few that nearly all memory is the program's
_TIMEOUT = 180.0  # seconds that a rank has for an answer
_CALLS = {
    "worker": "planning (the Assistant's process)",
    "taking": "taking the plan (training process)",
    "reporting": "reporting the losses (training process)",
}
_BYTES = {
    "private": "memory of a rank",
    "private_worker": "of that, its Assistant's process",
    "peak_worker": "its Assistant's process at its peak",
}


def planning(rows: int) -> list[Result]:
    """CPU time to plan a micro-batch and learn from its report, mean over a pass."""
    from fairseq_autoassist.core.planner import Planner

    from .bench_features import write_features
    from .ranks_child import MAX_TOKENS, make_spec, sizes

    with tempfile.TemporaryDirectory() as name:
        write_features(Path(name), rows)
        planners = {world: Planner(make_spec(name, sizes(rows), 0, world)) for world in WORLDS}
        times: dict[int, list[float]] = {world: [] for world in WORLDS}
        for _ in range(REPEATS + 1):
            for world, planner in planners.items():
                times[world].append(_pass_of(planner))
    medians = {world: statistics.median(mine[1:]) for world, mine in times.items()}
    what = f"planning and learning, a micro-batch of {MAX_TOKENS} tokens, {rows:,} pairs"
    results = [informative(f"{what}, ranks: {w}", 1e6 * medians[w], "us") for w in WORLDS]
    growth = medians[WORLDS[-1]] / medians[1]
    return [*results, at_most("planning: 4 ranks to 1, a micro-batch", growth, "x", GROWTH_TARGET)]


def _pass_of(planner: Any) -> float:
    """CPU seconds per micro-batch over a pass; they include making the pass."""
    losses = np.random.default_rng(4).gamma(4.0, 0.5, 1 << 16).astype(np.float32)
    batches, passes, began = 0, planner.stream.passes, core_clock()
    while planner.stream.passes < passes + 1:
        batch = planner.plan()
        planner.receive(batch.number, losses[batch.ids % len(losses)])
        batches += 1
    return (core_clock() - began) / batches


def new_pass(rows: int) -> list[Result]:
    """CPU time to begin a pass, which each rank makes whole, and its share per micro-batch."""
    from fairseq_autoassist.core.stream import Stream

    from .ranks_child import MAX_TOKENS, sizes

    streams = {world: Stream(rows, 1, None, 0, world) for world in WORLDS}
    times: dict[int, list[float]] = {world: [] for world in WORLDS}
    for number in range(REPEATS + 1):
        for world, stream in streams.items():
            stream.seek((number, 0))
            began = core_clock()
            stream.take(1)
            times[world].append(core_clock() - began)
    results = []
    for world, mine in times.items():
        seconds = statistics.median(mine[1:])
        batches = sizes(rows)[0].sum(dtype=np.int64) / MAX_TOKENS / world
        what = f"beginning a pass of {rows:,} pairs, ranks: {world}"
        results.append(informative(what, 1e3 * seconds, "ms"))
        results.append(informative(f"{what}, to a micro-batch", 1e6 * seconds / batches, "us"))
    return results


def memory(rows: int) -> list[Result]:
    """Bytes per pair and rank beside the mapped features, and CPU time of the calls of training."""
    results = []
    for world in WORLDS:
        few, many = _ranks(world, _FEW, False), _ranks(world, rows, False)
        for field, what in _CALLS.items():
            seconds = statistics.median(getattr(figures, field) for figures in many)
            name = f"{what}, CPU time to a micro-batch, ranks: {world}"
            results.append(informative(name, 1e6 * seconds, "us"))
        results += bytes_of(many, few, rows, f"ranks: {world}", judged=world == WORLDS[-1])
    many = _ranks(WORLDS[-1], rows, True)
    return results + bytes_of(many, few, rows, "some pairs too long, ranks: 4", judged=False)


def bytes_of(many: list, few: list, rows: int, what: str, judged: bool) -> list[Result]:
    """Memory of ranks beyond that of the same ranks on a tiny corpus, in bytes."""
    results = []
    for field, name in _BYTES.items():
        mine, base = (statistics.median(getattr(f, field) for f in all_) for all_ in (many, few))
        named = f"{name}, {rows:,} pairs, {what}"
        value = (mine - base) / rows
        if judged and field == "private":
            results.append(at_most(named, value, "B/pair", BYTES_TARGET))
        else:
            results.append(informative(named, value, "B/pair"))
    return results


def _ranks(world_size: int, rows: int, longer: bool) -> list:
    """Figures of ranks that live side by side and run one after another.

    Args:
        world_size: number of ranks
        rows: pairs of the corpus
        longer: whether some pairs are too long to be trained on
    """
    from . import ranks_child
    from .bench_features import write_features

    with tempfile.TemporaryDirectory() as name:
        write_features(Path(name), rows)
        np.save(Path(name) / "sizes.npy", np.stack(ranks_child.sizes(rows)))
        eligible = np.flatnonzero(np.arange(rows) % 100).astype(np.int32)  # as the task has it
        np.save(Path(name) / "eligible.npy", eligible)
        return ranks_on(name, world_size, longer)


def ranks_on(folder: str, world_size: int, longer: bool = False) -> list:
    """Figures of `_ranks`, over features in ``folder`` with sizes.npy (2, pairs) beside them."""
    from . import ranks_child

    context = multiprocessing.get_context("spawn")
    with contextlib.ExitStack() as stack:
        pipes = []
        for rank in range(world_size):
            mine, its = context.Pipe()
            process = context.Process(
                target=ranks_child.main, args=(its, folder, rank, world_size, longer)
            )
            process.start()
            stack.callback(_end, process)
            its.close()
            pipes.append(mine)
        for _ in range(2):  # all ranks finish a pass before any is measured
            figures = [_ask(pipe) for pipe in pipes]
        return figures


def _ask(pipe: Connection) -> Any:
    pipe.send("go on")
    if not pipe.poll(_TIMEOUT):
        raise RuntimeError(f"a rank gave no answer for {_TIMEOUT:g} s")
    return pipe.recv()


def _end(process: Any) -> None:
    process.kill()  # the Assistant ends with its rank
    process.join()


def benchmarks(tiny: bool) -> dict[str, Callable[[], list[Result]]]:
    """Benchmarks by name; ``tiny`` ones are for tests, and their figures mean nothing."""
    one_thread()
    from . import bench_ranks_training

    rows = 20_000 if tiny else 1_000_000
    return {
        "plan": lambda: planning(rows),
        "pass": lambda: new_pass(rows if tiny else 4_500_000),
        "memory": lambda: memory(rows),
        "train": lambda: (
            bench_ranks_training.added(WORLDS[:2], 1, 2)
            if tiny
            else bench_ranks_training.added(WORLDS)
        ),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Run benchmarks, and print each row as soon as it is there."""
    parser = command_line("bench_ranks", "plan, pass, memory, train", "bench_ranks.json", __doc__)
    arguments = parser.parse_args(argv)
    known = benchmarks(arguments.tiny)
    results = measured(known, chosen(parser, arguments.names, known))
    save(results, arguments.output)
    print(f"written to {arguments.output}")


if __name__ == "__main__":
    main()
