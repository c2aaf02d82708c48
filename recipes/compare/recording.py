"""Write the record of a run: its settings, cost and results."""

from __future__ import annotations

import importlib.metadata
import json
import math
import os
import platform
import re
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from fairseq_autoassist.core import trace
from preprocess.text import read_lines, whole_file, whole_files
from recipes.common import fairseq_log
from recipes.common.data import ROOT
from recipes.common.fairseq_log import NATS_PER_BIT, Log
from recipes.common.jsonfile import read_json
from recipes.compare import settings
from recipes.compare.arms import ARMS
from recipes.compare.filtered_data import corpus_rows
from recipes.compare.languages import languages_of
from recipes.compare.matrices import Run
from recipes.compare.packed import COUNTS
from recipes.compare.train import model_words
from recipes.compare.trained_on import Kept, load_pairs

# variables that change the speed of a run; of LD_PRELOAD the libraries' names
TUNING = ("GLIBC_TUNABLES", "LD_PRELOAD", "MALLOC_", "MKL_", "ONEDNN_", "TCMALLOC_")
COMMIT, JOBS = "AUTOASSIST_COMMIT", "AUTOASSIST_JOBS"  # set by the runner for its runs
SESSIONS = "sessions"  # in the run's folder: a line for each process that trained it
# our name -> the plugin's metric; a strategy may lack some
_CURVE = {
    "T": "aa_T",
    "acc": "aa_acc",
    "majority": "aa_majority",
    "keep": "aa_keep",
    "gamma": "aa_gamma",
}


def commit() -> str:
    """The commit of this tree, with "-dirty" for changes; the variable's value without git."""
    if os.environ.get(COMMIT):
        return os.environ[COMMIT]
    try:
        head = _git("rev-parse", "HEAD")
        return head + ("-dirty" if _git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def versions() -> dict[str, str]:
    """Versions of the interpreter and of the libraries behind the figures."""
    found = {"python": platform.python_version()}
    names = {"plugin": ["fairseq-autoassist"], "fairseq": ["fairseq", "fairseq-fixed"]}
    for name in ("torch", "fairseq", "numpy", "sacrebleu", "sentencepiece", "plugin"):
        found[name] = "not installed"
        for package in names.get(name, [name]):
            with suppress(importlib.metadata.PackageNotFoundError):
                found[name] = importlib.metadata.version(package)
    return found


def device_name(cpu: bool) -> str:
    """Model of the GPU, or of the CPU."""
    import torch

    if not cpu:
        return str(torch.cuda.get_device_name())
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def tuning() -> dict[str, str]:
    """Variables that change speed; of a path only the last part, which names no user."""
    found = {name: value for name, value in os.environ.items() if name.startswith(TUNING)}
    return {
        name: ":".join(map(os.path.basename, re.split("[: ]+", found[name])))
        for name in sorted(found)
    }


def curve(log: Log, kept: Kept) -> list[dict[str, float]]:
    """The training log, a row a report; losses in nats per token, wall over restarts."""
    rows, before, last = [], 0.0, 0.0
    for report in log.inner:
        update = int(report["num_updates"])
        wall = report.get("wall", 0.0)
        before += last if wall < last else 0.0  # fairseq's clock starts again when a run resumes
        last = wall
        row: dict[str, float] = {
            "update": update,
            "tokens": kept.tokens(update),
            "wall_s": before + wall,
        }
        if "aa_loss" in report:
            row["train_loss"] = report["aa_loss"]
        elif "nll_loss" in report:
            row["train_loss"] = round(report["nll_loss"] * NATS_PER_BIT, 4)
        row.update({name: report[key] for name, key in _CURVE.items() if key in report})
        rows.append(row)
    return rows


def training(log: Log, kept: Kept, end: dict[str, float]) -> dict[str, float]:
    """Cost of the training."""
    update = int(end["update"])
    considered, kept_pairs = log.last("aa_considered"), log.last("aa_kept")
    return {
        "tokens": kept.tokens(update),
        "padded_tokens": kept.padded_tokens(update),
        "updates": update,
        "wall_s": end["wall_s"],
        "train_wall_s": sum(report.get("train_wall", 0.0) for report in log.epochs),
        "cpu_s": end["cpu_s"],
        "pairs": len(kept.ids),
        "considered": considered or 0.0,
        "keep": kept_pairs / considered if considered and kept_pairs else 1.0,
        "passes": log.last("aa_pass") or 0.0,
    }


def note_session(folder: Path, cpu: bool, begin: bool) -> None:
    """Record the conditions of this process, since a run may resume on another machine."""
    import torch

    words = [commit(), device_name(cpu), f"{torch.get_num_threads()} threads"]
    words += [f"{os.environ.get(JOBS, '1')} jobs", *(f"{k}={v}" for k, v in tuning().items())]
    words += [f"session {session()}"]
    with open(folder / SESSIONS, "w" if begin else "a", encoding="utf-8") as stream:
        stream.write(", ".join(words) + "\n")


def session() -> str:
    """Session of this machine, from boot to boot; "" where it is unknown."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8")[:8]
    except OSError:
        return ""


def resumed(folder: Path) -> str:
    """All conditions and commits a run was trained under, where there are several; else ""."""
    path = folder / SESSIONS
    found = list(dict.fromkeys(read_lines(path))) if path.is_file() else []
    return "; ".join(found) if len(found) > 1 else ""


def decoding(corpus: Path) -> dict[str, Any]:
    """Settings of the decoding, and hashes of the data."""
    account = read_json(corpus / "pairs.json")
    return {
        "beam": settings.BEAM,
        "lenpen": settings.LENPEN,
        "max_len": [settings.MAX_LEN_A, settings.MAX_LEN_B],
        "sha256": account["sha256"],
    }


def features_seconds(run: Run, corpus: Path) -> float:
    """Wall seconds of making the features that a run's choice reads."""
    took = read_json(corpus / "pairs.json").get("features_s", {})
    return sum(took.get(name, 0.0) for name in ARMS[run.arm].features)


def write_record(
    run: Run,
    folder: Path,
    corpus: Path,
    key: str,
    marks: list[dict[str, float]],
    signatures: dict[str, str],
    cpu: bool,
) -> None:
    """Write counts.npy and, last, record.json.

    Args:
        marks: in order, each with update, wall_s, cpu_s and the scores
    """
    import torch

    log = fairseq_log.read(folder / "train.log")
    data_bin = corpus / "data-bin"
    words = model_words(run, languages_of(data_bin))
    kept = Kept(trace.read(folder / "trace"), load_pairs(data_bin), corpus_rows(folder))
    for mark in marks:
        mark["tokens"] = kept.tokens(int(mark["update"]))
        mark["padded_tokens"] = kept.padded_tokens(int(mark["update"]))
    cost = {**training(log, kept, marks[-1]), "features_s": features_seconds(run, corpus)}
    record: dict[str, Any] = {
        "run": run.id,
        "corpus": run.corpus,
        "architecture": run.architecture,
        "arm": run.arm,
        "budget": run.budget,
        "seed": run.seed,
        "updates": run.updates,
        "settings": {"key": key, "flags": words, **decoding(corpus)},
        "versions": versions(),
        "commit": commit(),
        "device": device_name(cpu),
        "threads": torch.get_num_threads(),
        "jobs": int(os.environ.get(JOBS, "1")),
        "tuning": tuning(),
        "resumed": resumed(folder),
        "session": session(),
        "train": cost,
        "signatures": signatures,
        # null for what was not measured: NaN is no JSON
        "marks": [{k: None if math.isnan(v) else v for k, v in m.items()} for m in marks],
        "curve": curve(log, kept),
    }
    if (corpus / "labels.txt").is_file():
        record["labels"] = kept.labels(corpus / "labels.txt", cost["passes"])
    with whole_file(folder / COUNTS) as part, open(part, "wb") as stream:
        np.save(stream, kept.counts())
    with whole_files(folder / "record.json") as (text,):
        json.dump(record, text)
