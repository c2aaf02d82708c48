"""Train one of the models, with AutoAssist or without, for 6 billion target tokens.

    python -m recipes.wmt14_en_de.train --model base [--baseline] [--dry-run]

What starts the ranks is one of recipes/launch/ (`--launch`); this works out its flags and becomes
it. A run that was interrupted goes on from its last checkpoint when the same command is given
again.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
from pathlib import Path

from preprocess.text import UserError, read_lines, whole_files
from recipes.common.data import ROOT
from recipes.common.plan import check_disk
from recipes.common.steps import environment
from recipes.wmt14_en_de.budget import Budget, budget
from recipes.wmt14_en_de.prepare import OUT
from recipes.wmt14_en_de.settings import (
    LANGS,
    MODELS,
    SCALES,
    SEED,
    Model,
    Scale,
)

ONE_NODE = "recipes/launch/one_node.sh"
SETTINGS = "settings.json"
# Without AutoAssist: these override what the scripts of recipes/launch/ give. It is all that
# differs. --user-dir stays, since it also lets torch >= 2.6 read fairseq's checkpoints.
BASELINE = ("--task", "translation", "--criterion", "label_smoothed_cross_entropy")
# A checkpoint of --fp16: weights in half precision and Adam's two moments in single
BYTES_PER_PARAMETER = 2 + 4 + 4


def training_flags(model: Model, scale: Scale, joint: bool) -> list[str]:
    """Return what both runs of a model share, whatever the number of ranks."""
    flags = ["--source-lang", LANGS[0], "--target-lang", LANGS[1]]
    flags += [*model.flags, *(model.tied if joint else model.untied)]
    flags += ["--max-tokens", str(scale.max_tokens or model.max_tokens)]
    flags += [*scale.flags, *scale.model_flags[model.family]]
    return [*flags, "--seed", str(SEED), "--log-format", "json"]


def update_freq(gpus: int, scale: Scale) -> int:
    """Return how many batches each of `gpus` accumulates, for updates as large as the recipe's."""
    if gpus < 1 or (gpus < scale.gpus and scale.gpus % gpus):
        raise UserError(
            f"--gpus is {gpus}; expected a divisor of {scale.gpus}, so that accumulated batches "
            f"make the same update, or {scale.gpus} and more"
        )
    return max(1, scale.gpus // gpus)


def budget_flags(plan: Budget, scale: Scale, batches: int, run: Path) -> list[str]:
    """Return how long to train and when to save: at the same updates with AutoAssist and without.

    By updates, not by epochs: an epoch with AutoAssist is shorter.
    """
    every = max(1, plan.updates // scale.checkpoints)
    flags = ["--max-update", str(plan.updates), "--update-freq", str(batches)]
    flags += ["--save-interval-updates", str(every), "--keep-interval-updates", str(scale.average)]
    return [*flags, "--no-epoch-checkpoints", "--log-file", str(run / "train.log")]


def remember(run: Path, flags: list[str]) -> None:
    """Note what a run was begun with; refuse to go on with anything else once something is learned.

    The number of ranks may change; what is learned from may not.
    """
    path = run / SETTINGS
    if path.is_file() and any(run.glob("checkpoint*.pt")):
        before = json.loads("\n".join(read_lines(path)))
        if before != flags:
            found = [flag for flag in flags if flag not in before] or ["fewer flags"]
            raise UserError(
                f"{run} was begun with other settings than now ({' '.join(found)}); expected "
                f"those in {path}: give them again, or name another folder with --run"
            )
    with whole_files(path) as (stream,):
        json.dump(flags, stream, indent=1)


def variables(launch: list[str], gpus: int) -> dict[str, str]:
    """Return the environment of the launcher; ranks that do not add up are refused."""
    found = environment()
    if launch[-1].endswith("one_node.sh"):
        found["GPUS"] = str(gpus)
    elif {"NNODES", "GPUS"} <= set(found) and int(found["NNODES"]) * int(found["GPUS"]) != gpus:
        raise UserError(
            f"NNODES={found['NNODES']} GPUS={found['GPUS']} are not --gpus {gpus} in all; "
            f"expected the number of all ranks: change one of them"
        )
    return found


def options_of(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", choices=sorted(MODELS), required=True)
    parser.add_argument("--baseline", action="store_true", help="without AutoAssist")
    parser.add_argument("--data", type=Path, default=OUT, help="--out of prepare.py")
    parser.add_argument("--vocab", choices=["paper", "joint"], default="paper")
    parser.add_argument("--run", type=Path, help="default: DATA/VOCAB/MODEL or .../MODEL-baseline")
    parser.add_argument("--gpus", type=int, help="ranks in all (default: 8)")
    parser.add_argument(
        "--launch",
        default=ONE_NODE,
        help="a script of recipes/launch/ that starts them (default: %(default)s)",
    )
    parser.add_argument("--dry-run", action="store_true", help="print the plan, check the disk")
    parser.add_argument("--scale", choices=sorted(SCALES), default="full", help="tiny: to try it")
    parser.add_argument("flags", nargs="*", help="after --: more flags of fairseq-train")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    options = options_of(arguments)
    model, scale = MODELS[options.model], SCALES[options.scale]
    data = (options.data / options.vocab).resolve()
    name = options.model + ("-baseline" if options.baseline else "")
    run = (options.run or data / name).resolve()
    gpus = options.gpus or scale.gpus
    accumulated = update_freq(gpus, scale)
    shared = training_flags(model, scale, scale.vocabularies[options.vocab].target is None)
    plan = budget(
        data / "data-bin",
        scale.target_tokens,
        scale.max_tokens or model.max_tokens,
        gpus * accumulated,
    )
    flags = [*shared, *budget_flags(plan, scale, accumulated, run)]
    method = [*(BASELINE if options.baseline else ()), *options.flags]
    launch = shlex.split(options.launch)
    command = [*launch, str(data / "data-bin"), str(run), *flags, *method]
    print(f"{name}: {plan}", flush=True)
    if options.scale == "full":
        size = model.parameters[options.vocab] * BYTES_PER_PARAMETER
        kept = scale.average + 3  # the last, the best, the averaged
        check_disk(run, kept * size, f"{kept} checkpoints of {size / 1e9:.2f} GB")
    print("$ " + shlex.join(command), flush=True)
    if options.dry_run:
        return
    remember(run, [*shared, "--max-update", str(plan.updates), *method])
    os.chdir(ROOT)  # where the launchers find one another, and --user-dir the plugin
    os.execvpe(command[0], command, variables(launch, gpus))


if __name__ == "__main__":
    main()
