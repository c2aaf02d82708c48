"""Train and score a translation model with AutoAssist, starting from text: `make quickstart`.

    python -m recipes.multi30k.quickstart [--baseline] [--out runs/multi30k]

Every step prints its name and resumes after an interruption. A step that was done with the same
settings is skipped. --baseline trains without AutoAssist, into its own folder.
"""

from __future__ import annotations

import argparse
import dataclasses
import shlex
import sys
import time
from pathlib import Path

from fairseq_autoassist.config import AutoAssistConfig
from fairseq_autoassist.features.manifest import FORMAT_VERSION
from recipes.common import agreement
from recipes.common.data import ROOT
from recipes.common.steps import Steps, run_command, stoppable
from recipes.multi30k import prepare
from recipes.multi30k.evaluate import BEAM, evaluate
from recipes.multi30k.report import report

TRAIN = ROOT / "recipes" / "multi30k" / "train.sh"


def train(out: Path, run: Path, baseline: bool) -> None:
    """Run train.sh from the root, where --user-dir finds the plugin of this checkout."""
    flags = ["--baseline"] if baseline else []
    command = ["bash", str(TRAIN), str((out / "data-bin").resolve()), str(run.resolve()), *flags]
    run_command(command, cwd=ROOT)


def quickstart(out: Path, baseline: bool) -> None:
    """Prepare, build features, measure agreement, train, evaluate, report."""
    start = time.monotonic()
    run = out / ("baseline" if baseline else "autoassist")
    steps = Steps(out / "steps", prepare.STEPS + 4)
    prepare.prepare(out, steps)
    steps.run(
        "features",
        {"format": FORMAT_VERSION},
        [out / "data-bin" / "autoassist"],
        lambda: run_command(["autoassist-tfidf", str((out / "data-bin").resolve())], cwd=ROOT),
    )
    agreement.step(steps, out / "data-bin", prepare.LANGS)
    settings = {"train.sh": TRAIN.read_text(encoding="utf-8"), "baseline": baseline}
    if not baseline:  # train.sh leaves the method to the plugin's defaults
        settings["defaults"] = dataclasses.asdict(AutoAssistConfig())
    name = f"train-{run.name}"
    steps.run(
        name,
        settings,
        [run, run / "checkpoint_best.pt", run / "train.log"],
        lambda: train(out, run, baseline),
    )
    steps.run(
        f"evaluate-{run.name}",
        {"beam": BEAM},
        [run / "scores.json"],
        lambda: evaluate(out, run),
    )
    report(run)
    print(f"all steps took {(time.monotonic() - start) / 60:.1f} min", flush=True)


def main(arguments: list[str] | None = None) -> None:
    """Do all steps from text to scores and the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "multi30k")
    parser.add_argument("--baseline", action="store_true", help="train without AutoAssist")
    options = parser.parse_args(arguments)
    words = arguments or sys.argv[1:]
    again = shlex.join([sys.executable, "-m", "recipes.multi30k.quickstart", *words])
    with stoppable(again if words else "make quickstart"):
        quickstart(options.out, options.baseline)


if __name__ == "__main__":
    main()
