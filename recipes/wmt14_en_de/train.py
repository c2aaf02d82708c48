"""Train one of the models, with AutoAssist or without, for 6 billion target tokens.

    python -m recipes.wmt14_en_de.train --model base [--baseline] [--dry-run]

This command computes the flags of a script of recipes/launch/ (`--launch`), which starts the ranks,
and becomes that script. The same command resumes an interrupted run from its last checkpoint.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
from dataclasses import replace
from pathlib import Path

from preprocess.text import UserError, read_lines, whole_files
from recipes.common.checkpoints import updates_done
from recipes.common.data import ROOT
from recipes.common.plan import check_disk
from recipes.wmt14_en_de.budget import Budget, budget
from recipes.wmt14_en_de.flags import changes, own
from recipes.wmt14_en_de.prepare import OUT
from recipes.wmt14_en_de.ranks import check_visible, launcher, told, variables
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
# Without AutoAssist only these flags differ: they override those of the scripts of recipes/launch/.
# --user-dir stays, since torch >= 2.6 refuses fairseq's checkpoints without it.
BASELINE = ("--task", "translation", "--criterion", "label_smoothed_cross_entropy")
# A checkpoint of --fp16: weights in half precision and Adam's two moments in single
BYTES_PER_PARAMETER = 2 + 4 + 4


def training_flags(model: Model, scale: Scale, joint: bool) -> list[str]:
    """Return the flags that both runs of a model share at any world size."""
    flags = ["--source-lang", LANGS[0], "--target-lang", LANGS[1]]
    flags += [*model.flags, *(model.tied if joint else model.untied)]
    flags += ["--max-tokens", str(scale.max_tokens or model.max_tokens)]
    flags += [*scale.flags, *scale.model_flags[model.family]]
    return [*flags, "--seed", str(SEED), "--log-format", "json"]


def update_freq(gpus: int, scale: Scale) -> int:
    """Return the number of batches that each GPU accumulates, for updates of the recipe's size.

    Raises:
        UserError: no such number gives updates of that size
    """
    if gpus < 1 or (gpus < scale.gpus and scale.gpus % gpus):
        raise UserError(
            f"--gpus is {gpus}; expected a divisor of {scale.gpus}, so that accumulated batches "
            f"make the same update, or {scale.gpus} and more"
        )
    return max(1, scale.gpus // gpus)


def budget_flags(plan: Budget, scale: Scale, batches: int, run: Path) -> list[str]:
    """Return the flags on the end of the run and on saving, the same with and without AutoAssist.

    They count updates, since an epoch with AutoAssist is shorter.
    """
    every = max(1, plan.updates // scale.checkpoints)
    flags = ["--max-update", str(plan.updates), "--update-freq", str(batches)]
    flags += ["--save-interval-updates", str(every), "--keep-interval-updates", str(scale.average)]
    return [*flags, "--no-epoch-checkpoints", "--log-file", str(run / "train.log")]


def check_begun(run: Path, flags: list[str]) -> None:
    """Refuse to resume a checkpoint with other flags than the run began with.

    The world size may change; data and model may not.

    Raises:
        UserError: the flags differ, or the flags of the beginning cannot be read
    """
    path = run / SETTINGS
    if not path.is_file() or not any(run.glob("checkpoint*.pt")):
        return
    try:
        before = json.loads("\n".join(read_lines(path)))
    except ValueError:
        before = None
    if not isinstance(before, list) or not all(isinstance(word, str) for word in before):
        raise UserError(
            f"{path} is damaged; expected the list of flags that the run was begun with: "
            f"remove it (`rm {shlex.quote(str(path))}`) and give the same flags as then"
        )
    found = changes(before, flags)
    if found:
        raise UserError(
            f"{run} was begun with other settings than now ({', '.join(found)}); expected "
            f"those in {path}: give them again, or name another folder with --run"
        )


def remember(run: Path, flags: list[str]) -> None:
    """Write the flags that a run begins with into its folder.

    Raises:
        UserError: the run began with other flags
    """
    check_begun(run, flags)
    with whole_files(run / SETTINGS) as (stream,):
        json.dump(flags, stream, indent=1)


def finished(run: Path, wanted: int) -> bool:
    """Return whether the last checkpoint has done all updates, and print it if so.

    fairseq checks this only after an update, so it would train one more.

    Raises:
        UserError: the last checkpoint is damaged
    """
    last = run / "checkpoint_last.pt"
    if not last.is_file():
        return False
    whole = run / "checkpoint_EPOCH_UPDATE.pt"
    done = updates_done(last, f"copy the latest whole one over it (`cp {whole} {last}`)")
    if done < wanted:
        return False
    print(f"finished: {last} has done {done:,} of {wanted:,} updates", flush=True)
    return True


def check_room(run: Path, model: Model, vocab: str, scale: Scale) -> None:
    """Refuse a run whose further checkpoints do not fit on the disk.

    Raises:
        UserError: the disk has too little free space
    """
    size = model.parameters[vocab] * BYTES_PER_PARAMETER
    kept = scale.average + 3  # the last, the best, the averaged
    there = sum(path.stat().st_size for path in run.glob("*.pt"))
    purpose = f"{kept} checkpoints of {size / 1e9:.2f} GB" + (", less those there" if there else "")
    check_disk(run, max(0, kept * size - there), purpose, "name another folder with --run")


def become(command: list[str], variables: dict[str, str]) -> None:
    """Run the launcher in this process's place.

    Raises:
        UserError: the launcher cannot be run
    """
    os.chdir(ROOT)  # root of the checkout, for paths of the launchers and of --user-dir
    try:
        os.execvpe(command[0], command, variables)
    except OSError as error:
        raise UserError(
            f"cannot run --launch {command[0]} ({error.strerror}); expected a script that can be "
            f"run, by its path from the root of the checkout: see `ls -l recipes/launch`"
        ) from error


def options_of(arguments: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", choices=sorted(MODELS), required=True)
    parser.add_argument("--baseline", action="store_true", help="without AutoAssist")
    parser.add_argument("--data", type=Path, default=OUT, help="--out of prepare.py")
    parser.add_argument("--vocab", choices=["paper", "joint"], default="paper")
    parser.add_argument("--run", type=Path, help="default: DATA/VOCAB/MODEL or .../MODEL-baseline")
    parser.add_argument(
        "--gpus",
        type=int,
        help="ranks in all (default: what the variables of --launch say, else 8)",
    )
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
    """Replace this process by fairseq-train; with --dry-run print its command."""
    options = options_of(arguments)
    model, scale = MODELS[options.model], SCALES[options.scale]
    data = (options.data / options.vocab).resolve()
    name = options.model + ("-baseline" if options.baseline else "")
    run = (options.run or data / name).resolve()
    launch = launcher(options.launch)
    gpus = (told(launch) or scale.gpus) if options.gpus is None else options.gpus
    given = own(options.flags)
    accumulated = given.get("--update-freq", update_freq(gpus, scale))
    environment = variables(launch, gpus)
    shared = training_flags(model, scale, scale.vocabularies[options.vocab].target is None)
    plan = budget(
        data / "data-bin",
        scale.target_tokens,
        given.get("--max-tokens", scale.max_tokens or model.max_tokens),
        gpus * accumulated,
    )
    plan = replace(plan, updates=given.get("--max-update", plan.updates))
    flags = [*shared, *budget_flags(plan, scale, accumulated, run)]
    method = [*(BASELINE if options.baseline else ()), *options.flags]
    command = [*launch, str(data / "data-bin"), str(run), *flags, *method]
    print(f"{name}: {plan}", flush=True)
    settings = [*shared, "--max-update", str(plan.updates), *method]
    check_begun(run, settings)
    if finished(run, plan.updates):
        return
    if options.scale == "full":
        check_room(run, model, options.vocab, scale)
    print("$ " + shlex.join(command), flush=True)
    if options.dry_run:
        return
    if "--cpu" not in command:
        check_visible(launch, gpus, scale.gpus)
    remember(run, settings)
    become(command, environment)


if __name__ == "__main__":
    main()
