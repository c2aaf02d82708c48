"""Train one run through fairseq-train, in this process, with checkpoints exactly at its marks."""

from __future__ import annotations

import json
import logging
import os
import resource
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator

from preprocess.text import whole_files
from recipes.common.data import ROOT
from recipes.common.jsonfile import read_json
from recipes.compare.arms import ARMS
from recipes.compare.languages import languages_of
from recipes.compare.matrices import Run
from recipes.compare.settings import ARCHITECTURES, LOG_POINTS, SMOOTHING, marks_of
from recipes.multi30k.prepare import LANGS

USER_DIR = ROOT / "fairseq_autoassist"


def model_words(run: Run, langs: tuple[str, str] = LANGS) -> list[str]:
    """Flags of fairseq-train that define a run; none names a path."""
    training = run.training
    share = run.updates / training.updates
    warmup = max(1, round(training.warmup * share))
    words = ["--task", "translation_autoassist", "--source-lang", langs[0]]
    words += ["--target-lang", langs[1], "--criterion", "autoassist_label_smoothed_cross_entropy"]
    words += ["--label-smoothing", str(SMOOTHING), *ARCHITECTURES[run.architecture]]
    words += ["--dropout", str(training.dropout), "--clip-norm", str(training.clip)]
    words += ["--optimizer", "adam", "--adam-betas", "(0.9, 0.98)", "--lr", str(training.lr)]
    words += ["--lr-scheduler", "polynomial_decay", "--warmup-updates", str(warmup)]
    words += ["--total-num-update", str(run.updates), "--max-update", str(run.updates)]
    words += ["--max-tokens", str(training.max_tokens), "--seed", str(run.seed)]
    return [*words, *ARMS[run.arm].words]


def other_words(run: Run, data_bin: Path, folder: Path, restore: Path | None) -> list[str]:
    """Flags of paths and logging, which do not change what is trained."""
    full = run.training.updates
    words = [str(data_bin.resolve()), "--user-dir", str(USER_DIR), "--num-workers", "0"]
    words += ["--save-dir", str((folder / "marks").resolve()), "--disable-validation"]
    words += ["--save-interval-updates", "1", "--distributed-world-size", "1"]
    words += ["--autoassist-trace", str((folder / "trace").resolve())]
    words += ["--log-format", "json", "--log-interval", str(max(1, full // LOG_POINTS))]
    return words if restore is None else [*words, "--restore-file", str(restore.resolve())]


def cpu_seconds() -> float:
    """CPU seconds of this process and its children, including a running Assistant."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime
    tick = os.sysconf("SC_CLK_TCK")
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:  # the process has just ended
            continue
        if int(fields[1]) == os.getpid():
            total += sum(int(field) for field in fields[11:15]) / tick
    return total


class Marks:
    """Replaces fairseq's save_checkpoint: saves at the marks of the run only.

    fairseq's own saves no update at which an epoch ends, and a kill can cut its copy of the last
    checkpoint short. A mark is MARKS/UPDATE.pt and UPDATE.json, which is written first. The latter
    holds wall seconds since fairseq's trainer was built and CPU seconds since fairseq-train began,
    both without saving, and the seconds spent on saving.
    """

    def __init__(self, folder: Path, updates: list[int]) -> None:
        self.folder, self.updates = folder, set(updates)
        self.cpu_start, self.saving = cpu_seconds(), 0.0

    def latest(self) -> Path | None:
        """Return the newest whole checkpoint, and resume the clocks from it."""
        found = saved_marks(self.folder)
        if not found:
            return None
        update = max(found)
        mark = read_mark(self.folder, update)
        self.cpu_start -= mark["cpu_s"]
        self.saving = mark["saving_s"]
        return found[update]

    def save(self, cfg: Any, trainer: Any, epoch_itr: Any, val_loss: Any) -> None:
        """Save if this update is a mark; fairseq calls it after each update."""
        update = trainer.get_num_updates()
        if update not in self.updates:
            return
        begun, cpu_begun = time.monotonic(), cpu_seconds()
        # fairseq's count includes that of the checkpoint it resumed from
        wall = trainer.cumulative_training_time() - self.saving
        cpu = cpu_begun - self.cpu_start
        mark = {"update": update, "wall_s": wall, "cpu_s": cpu, "saving_s": self.saving}
        with whole_files(self.folder / f"{update}.json") as (stream,):
            json.dump(mark, stream)
        trainer.consolidate_optimizer()
        extra = {"train_iterator": epoch_itr.state_dict(), "val_loss": val_loss}
        trainer.save_checkpoint(str(self.folder / f"{update}.pt"), extra)
        self.updates.discard(update)  # fairseq calls twice at the end of an epoch
        self.saving += time.monotonic() - begun
        self.cpu_start += cpu_seconds() - cpu_begun


def saved_marks(folder: Path) -> dict[int, Path]:
    """Update -> checkpoint, for the saved marks."""
    return {int(path.stem): path for path in folder.glob("*.pt")}


def read_mark(folder: Path, update: int) -> dict[str, float]:
    """Read the JSON of a mark: update, wall_s, cpu_s, saving_s."""
    return read_json(folder / f"{update}.json")


@contextmanager
def log_to(path: Path) -> Iterator[None]:
    """Log to a file, as --log-file does, but each report once.

    fairseq opens the file again in each epoch, and so repeats a report for every epoch so far."""
    reports = logging.getLogger("fairseq.logging.progress_bar")
    handler = logging.FileHandler(path, encoding="utf-8")
    reports.addHandler(handler)
    try:
        yield
    finally:
        reports.removeHandler(handler)
        handler.close()


def train(run: Run, data_bin: Path, folder: Path, cpu: bool) -> None:
    """Train a run to its end, from its last mark if it was interrupted.

    Reports between the last mark and a kill appear twice in the log. `recipes.common.fairseq_log`
    and the reader of the trace drop the first ones.
    """
    from fairseq import checkpoint_utils
    from fairseq_cli import train as fairseq_train

    updates = marks_of(run.training, run.updates)
    (folder / "marks").mkdir(parents=True, exist_ok=True)
    marks = Marks(folder / "marks", updates)
    restore = marks.latest()
    if run.updates in saved_marks(folder / "marks"):
        return
    words = [
        *other_words(run, data_bin, folder, restore),
        *model_words(run, languages_of(data_bin)),
    ]
    sys.argv = ["fairseq-train", *words, *(["--cpu"] if cpu else [])]
    original = checkpoint_utils.save_checkpoint
    checkpoint_utils.save_checkpoint = marks.save
    try:
        with log_to(folder / "train.log"):
            fairseq_train.cli_main()
    finally:
        checkpoint_utils.save_checkpoint = original
    if run.updates not in saved_marks(folder / "marks"):
        raise RuntimeError(f"training of {run.id} ended before update {run.updates}")
