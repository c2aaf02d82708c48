"""Cost of the plugin to a training run, against fairseq's own task, in real fairseq-train runs."""

from __future__ import annotations

import json
import multiprocessing
import statistics
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import List, Sequence, Tuple

from fairseq_autoassist.features.tfidf.build import build_features
from tests.support.corpus import ROOT, make_data_bin, multi30k_pairs

from . import train_child
from .measure import Result, at_least, at_most, informative

SPEED_TARGET = 0.98  # of fairseq's tokens/s
WAIT_TARGET = 0.01  # share of the time of training
_TIMEOUT = 180.0  # seconds that a run has for a segment of updates, or to start
MODEL = [
    *["--arch", "transformer", "--encoder-layers", "3", "--decoder-layers", "3"],
    *["--encoder-embed-dim", "128", "--encoder-ffn-embed-dim", "256"],
    *["--decoder-embed-dim", "128", "--decoder-ffn-embed-dim", "256"],
    *["--encoder-attention-heads", "4", "--decoder-attention-heads", "4", "--dropout", "0.1"],
    *["--share-decoder-input-output-embed", "--optimizer", "adam", "--lr", "0.001"],
    *["--lr-scheduler", "inverse_sqrt", "--warmup-updates", "100", "--clip-norm", "1.0"],
    *["--cpu", "--seed", "3", "--num-workers", "1", "--disable-validation", "--no-save"],
    *[
        "--label-smoothing",
        "0.1",
        "--log-format",
        "json",
        "--no-progress-bar",
        "--required-batch-size-multiple",
        "8",
    ],
]
STOCK = ["--task", "translation", "--criterion", "label_smoothed_cross_entropy"]
PLUGIN = [
    *["--user-dir", ROOT / "fairseq_autoassist", "--task", "translation_autoassist"],
    *["--criterion", "autoassist_label_smoothed_cross_entropy"],
]
UNIFORM = [*PLUGIN, "--autoassist-strategy", "uniform"]
# gamma moves fast: a short run has to shrink
SHRINK = [*PLUGIN, "--autoassist-gamma-decay", "0.5", "--autoassist-guard-pairs", "0"]
Segment = List[Tuple[int, float, float]]  # of updates, see train_child.Update


@dataclass(frozen=True)
class Size:
    """Length of the training: ``segments`` of ``segment`` updates, timed after a first one."""

    pairs: int = 29_000
    words: int = 8000  # of a dictionary
    max_tokens: int = 2000
    segment: int = 5
    segments: int = 20

    @property
    def updates(self) -> int:
        """Updates of a whole run; the last one only marks the end of the one before."""
        return (self.segments + 1) * self.segment + 1


@dataclass
class _Runner:
    """Run that trains one segment at a time."""

    name: str
    words: Sequence[object]
    size: Size
    folder: Path
    planned: int = 0
    segments: list[Segment] = field(default_factory=list)

    def __enter__(self) -> _Runner:
        context = multiprocessing.get_context("spawn")
        self.turns, its = context.Pipe()
        self.output = self.folder / f"{self.name}.output"
        size = self.size
        words = [*self.words, *MODEL, "--max-tokens", size.max_tokens, "--max-update", size.updates]
        words += ["--log-interval", size.segment, "--save-dir", self.folder / self.name]
        self.process = context.Process(
            target=train_child.main,
            args=(its, [str(w) for w in words], str(self.output), size.segment, self.planned),
        )
        self.process.start()
        its.close()
        return self

    def __exit__(self, error: object, *_: object) -> None:
        self.process.join(0 if error else _TIMEOUT)
        self.process.kill()
        self.process.join()

    def receive(self) -> Segment:
        """Return the updates of the segment that is being trained.

        Raises:
            RuntimeError: the run ended before, or takes too long
        """
        try:
            if self.turns.poll(_TIMEOUT):
                return self.turns.recv()
            happened = f"gave no sign for {_TIMEOUT:g} s"
        except EOFError:
            happened = "ended early"
        tail = self.output.read_text(errors="replace")[-3000:] if self.output.exists() else ""
        raise RuntimeError(f"the run {self.name} {happened}:\n{tail}")

    def train(self) -> None:
        """Train one segment."""
        self.turns.send("go")
        self.segments.append(self.receive())


def training_speed(size: Size | None = None) -> list[Result]:
    """Ratio of the plugin's tokens/s to fairseq's, and the share of time spent waiting."""
    size = size or Size()
    with tempfile.TemporaryDirectory() as name:
        data = make_data_bin(
            Path(name) / "data-bin",
            multi30k_pairs("train", size.pairs),
            multi30k_pairs("val", 100),
            *["--nwordssrc", size.words, "--nwordstgt", size.words],
        )
        build_features(str(data), progress=False)
        return _without_shrinking(data, size, Path(name)) + _with_shrinking(data, size, Path(name))


def _without_shrinking(data: Path, size: Size, folder: Path) -> list[Result]:
    """Train both on the same batches, in turns of a few updates, in the order ABBA."""
    stock_words = [data, *STOCK, "--curriculum", 1]
    with _Runner("stock", stock_words, size, folder, planned=size.updates + 50) as stock, _Runner(
        "plugin", [data, *UNIFORM], size, folder
    ) as plugin:
        for runner in (stock, plugin):
            runner.receive()
        for turn in range(size.segments + 1):
            for runner in (stock, plugin) if turn % 2 else (plugin, stock):
                runner.train()
        # the update that ends the run
        for runner in (stock, plugin):
            runner.turns.send("go")
    return _ratios(stock.segments[1:], plugin.segments[1:])


def _ratios(stock: list[Segment], plugin: list[Segment]) -> list[Result]:
    """Ratios of tokens/s: inverse ratios of times, since both train on the same batches."""
    tokens = [[update[0] for segment in runs for update in segment] for runs in (stock, plugin)]
    assert tokens[0] == tokens[1], "the two runs trained on different batches"
    rates = [[_tokens_per_second(segment) for segment in runs] for runs in (stock, plugin)]
    wall = [ours / theirs for theirs, ours in zip(*rates)]
    cpu = [_cpu(theirs) / _cpu(ours) for theirs, ours in zip(stock, plugin)]
    what = "training: plugin, shrinking off"
    ratio = f"{what}, ratio to fairseq (median of {len(wall)})"
    return [
        informative("training: fairseq's task translation", statistics.median(rates[0]), "tok/s"),
        informative(what, statistics.median(rates[1]), "tok/s"),
        at_least(ratio, statistics.median(wall), "x", SPEED_TARGET),
        informative(f"{what}, distance of that ratio's quartiles", _spread(wall), "x"),
        informative(f"{what}, ratio by CPU time of the process", statistics.median(cpu), "x"),
        informative(f"{what}, distance of its quartiles", _spread(cpu), "x"),
    ]


def _with_shrinking(data: Path, size: Size, folder: Path) -> list[Result]:
    with _Runner("shrinking", [data, *SHRINK], size, folder) as runner:
        runner.receive()
        for _ in range(size.segments + 1):
            runner.train()
        runner.turns.send("go")
    log = [json.loads(text) for text in _log_lines(runner.output)]
    first, last = log[0], log[size.segments]  # after the first and the last segment
    seconds = sum(took for segment in runner.segments[1:] for _, took, _ in segment)
    waited = float(last["aa_wait"]) - float(first["aa_wait"])
    what = "training: plugin, shrinking on"
    return [
        at_most(f"{what}, waiting for the Assistant", waited / seconds, "of time", WAIT_TARGET),
        informative(f"{what}, seconds until its first batch", float(first["aa_wait"]), "s"),
        informative(f"{what}, share of pairs kept at the end", float(last["aa_keep"]), ""),
    ]


def _log_lines(output: Path) -> list[str]:
    lines = output.read_text(errors="replace").splitlines()
    return [line.split("| train_inner | ", 1)[1] for line in lines if "| train_inner | {" in line]


def _tokens_per_second(segment: Segment) -> float:
    return sum(tokens for tokens, *_ in segment) / sum(took for _, took, _ in segment)


def _cpu(segment: Segment) -> float:
    return sum(cpu for _, _, cpu in segment)


def _spread(values: list[float]) -> float:
    low, _, high = statistics.quantiles(values, n=4)
    return high - low
