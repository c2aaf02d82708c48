"""Time that the plugin adds to an update of several ranks over gloo, against fairseq's own task.

Each is measured by target token on its own batches. The plugin's come from buckets and are shrunk;
fairseq's are sorted over the whole epoch. The generated lengths of the two sides hardly correlate.
So batches from buckets hold some per cent more padding, and the ratio includes it.
`bench_training` measures both on the same batches.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import socket
import statistics
import tempfile
from pathlib import Path
from typing import Any, NamedTuple, Sequence

from . import train_child
from .measure import Result, informative

ROOT = Path(__file__).resolve().parents[1]
# More pairs than are trained on: at the end of an epoch fairseq may give a rank a dummy batch.
PAIRS, WORDS = 40_000, 2000
_TIMEOUT = 180.0  # seconds that a rank has for a segment of updates, or to start
TRAINING = [
    *["--source-lang", "de", "--target-lang", "en", "--valid-subset", "train"],
    *["--arch", "transformer", "--encoder-layers", "2", "--decoder-layers", "2"],
    *["--encoder-embed-dim", "64", "--encoder-ffn-embed-dim", "128"],
    *["--decoder-embed-dim", "64", "--decoder-ffn-embed-dim", "128", "--dropout", "0.1"],
    *["--encoder-attention-heads", "4", "--decoder-attention-heads", "4"],
    *["--label-smoothing", "0.1", "--optimizer", "adam", "--lr", "0.001", "--clip-norm", "1.0"],
    *["--max-tokens", "1000", "--required-batch-size-multiple", "8", "--seed", "3", "--cpu"],
    *["--num-workers", "0", "--disable-validation", "--no-save", "--log-format", "none"],
]
GLOO = ["--distributed-no-spawn", "--distributed-backend", "gloo", "--ddp-backend", "legacy_ddp"]
TASKS = {
    "stock": ["--task", "translation", "--criterion", "label_smoothed_cross_entropy"],
    "plugin": [
        *["--user-dir", str(ROOT / "fairseq_autoassist"), "--task", "translation_autoassist"],
        *["--criterion", "autoassist_label_smoothed_cross_entropy"],
        # gamma moves fast: a short run has to shrink
        *["--autoassist-gamma-decay", "0.5", "--autoassist-guard-pairs", "0"],
    ],
}


class Turn(NamedTuple):
    """Times of a segment, in seconds."""

    wall: float  # per 1000 target tokens
    cpu: float  # of the training processes, per 1000 target tokens
    assistants: float  # CPU time, per 1000 target tokens
    update: float  # per update


def added(worlds: Sequence[int], segments: int = 24, segment: int = 5) -> list[Result]:
    """Ratio of the plugin's time per token to fairseq's, for each world size.

    Both train in turns, a few updates each, in the order ABBA. With more ranks than cores, wall
    time includes the Assistants' work, which competes with training.
    """
    from fairseq_autoassist.features.tfidf.build import build_features
    from tests.support.corpus import write_data_bin

    results = []
    with tempfile.TemporaryDirectory() as name:
        data = write_data_bin(Path(name) / "data-bin", PAIRS, vocabulary=WORDS)
        build_features(str(data), "de", "en", progress=False)
        for world in worlds:
            folder = Path(name) / str(world)
            folder.mkdir()
            turns = _turns(world, data, folder, segments, segment)
            results += _ratios(turns, world)
    return results


def _ratios(turns: dict[str, list[Turn]], world: int) -> list[Result]:
    stock, plugin = turns["stock"], turns["plugin"]
    wall = [ours.wall / theirs.wall for theirs, ours in zip(stock, plugin)]
    cpu = [ours.cpu / theirs.cpu for theirs, ours in zip(stock, plugin)]
    update = statistics.median(turn.update for turn in stock)
    share = statistics.median(turn.assistants / turn.cpu for turn in plugin)
    what = f"training, ranks: {world}"
    median = statistics.median
    return [
        informative(f"{what}: an update of fairseq's task translation", 1e3 * update, "ms"),
        informative(f"{what}: plugin to stock, time to a token", median(wall), "x"),
        informative(f"{what}: distance of that ratio's quartiles", _spread(wall), "x"),
        informative(f"{what}: the same in CPU time of the training processes", median(cpu), "x"),
        informative(f"{what}: distance of that ratio's quartiles (CPU)", _spread(cpu), "x"),
        informative(f"{what}: CPU time of the Assistants to that of training", share, "x"),
    ]


def _spread(values: list[float]) -> float:
    if len(values) < 2:
        return 0.0
    low, _, high = statistics.quantiles(values, n=4)
    return high - low


def _turns(
    world: int, data: Path, folder: Path, segments: int, segment: int
) -> dict[str, list[Turn]]:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["fairseq_cli.train"])  # its import takes seconds
    updates = (segments + 1) * segment + 1  # the first segment warms up
    with contextlib.ExitStack() as stack:
        groups = {}
        for name, task in TASKS.items():
            words = [str(data), *TRAINING, *task, "--max-update", str(updates)]
            words += ["--save-dir", str(folder / name)]
            groups[name] = stack.enter_context(_Group(context, name, words, world, folder, segment))
        turns: dict[str, list[Turn]] = {name: [] for name in groups}
        for number in range(segments + 1):
            for name in list(groups) if number % 2 else list(groups)[::-1]:
                turns[name].append(groups[name].train())
    return {name: mine[1:] for name, mine in turns.items()}


class _Group:
    """Ranks of a run, which train one segment of updates a call."""

    def __init__(
        self, context: Any, name: str, words: list[str], world: int, folder: Path, segment: int
    ) -> None:
        if world > 1:
            with socket.socket() as probe:
                probe.bind(("localhost", 0))
                meet = f"tcp://localhost:{probe.getsockname()[1]}"
            words = [*words, *GLOO, "--distributed-init-method", meet]
        words = [*words, "--distributed-world-size", str(world)]
        self.processes, self.pipes, self.outputs = [], [], []
        for rank in range(world):
            mine, its = context.Pipe()
            self.outputs.append(folder / f"{name}{rank}.output")
            mine_words = [*words, "--distributed-rank", str(rank)] if world > 1 else words
            process = context.Process(
                target=train_child.main,
                args=(its, mine_words, str(self.outputs[-1]), segment, 0),
            )
            process.start()
            its.close()
            self.processes.append(process)
            self.pipes.append(mine)

    def __enter__(self) -> _Group:
        self._receive()  # all ranks are ready
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:  # the Assistant ends with its rank
            process.kill()
            process.join()

    def train(self) -> Turn:
        """Let all ranks train a segment; fairseq's all-reduce keeps them in step."""
        began = self._assistants()
        for pipe in self.pipes:
            pipe.send("go")
        ranks = self._receive()
        tokens = sum(update[0] for updates in ranks for update in updates) / 1000
        seconds = max(sum(update[1] for update in updates) for updates in ranks)
        cpu = sum(update[2] for updates in ranks for update in updates)
        assistants = self._assistants() - began
        return Turn(seconds / tokens, cpu / tokens, assistants / tokens, seconds / len(ranks[0]))

    def _assistants(self) -> float:
        from tests.support.processes import workers

        from .ranks_child import cpu_seconds

        return sum(cpu_seconds(pid) for p in self.processes for pid in workers(p.pid))

    def _receive(self) -> list:
        return [self._receive_from(rank) for rank in range(len(self.pipes))]

    def _receive_from(self, rank: int) -> list:
        try:
            if self.pipes[rank].poll(_TIMEOUT):
                return self.pipes[rank].recv()
            happened = f"gave no sign for {_TIMEOUT:g} s"
        except EOFError:
            happened = "ended early"
        raise RuntimeError(f"rank {rank} of training {happened}:\n{self._tails()}")

    def _tails(self) -> str:
        """Last lines of every rank's output, for the reason of a failure."""
        return "\n".join(
            f"--- {path.name}: {path.read_text(errors='replace')[-1500:]}"
            for path in self.outputs
            if path.exists()
        )
