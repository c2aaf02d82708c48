"""The command ``autoassist-reference``: losses of the training pairs under a trained model.

    autoassist-reference DATA_BIN --path CHECKPOINT [--max-tokens N] [--cpu] [--dest FOLDER]

They are what ``--autoassist-utility excess`` holds the Boss's losses against. They are written
beside the features, one float32 a pair; all flags of fairseq-validate are taken.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from .errors import AutoAssistError, ConfigError, told
from .features.commands import feature_folder
from .features.staging import write_beside
from .features.store import REFERENCE_NAME, Features
from .text.corpus import open_shard

NAME = "autoassist-reference"
MAX_TOKENS = 8000  # to a batch, where neither --max-tokens nor --batch-size is given


def main(argv: list[str] | None = None) -> int:
    """Write the losses; 0 on success, 2 on an error the user can mend (one line on stderr)."""
    try:
        config, dest = _options(argv)
        losses, path = _measure(config, dest)
        unknown = int(np.isnan(losses).sum())
        if unknown == len(losses):
            raise ConfigError(
                f"--path {config.common_eval.path} gives a loss to none of {unknown} pairs, "
                "expected one for most: they are all too long for the model or for --max-tokens, "
                "or the losses are not numbers; raise --max-tokens, or name another checkpoint"
            )
        write_beside(path, losses)
    except (AutoAssistError, OSError) as error:
        print(f"{NAME}: error: {told(error)}", file=sys.stderr)
        return 2
    print(
        f"{NAME}: {len(losses):,} pairs, mean loss {np.nanmean(losses):.3f} nats/token, "
        f"{unknown:,} too long for the model or for --max-tokens (not known), in {path}"
    )
    return 0


def _options(argv: list[str] | None) -> tuple[Any, str | None]:
    from fairseq import options, utils
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf

    from . import plugin  # noqa: F401 (its task and criterions, before the parser lists them)

    logging.getLogger("fairseq").setLevel(logging.WARNING)
    words = _without_this_plugin(sys.argv[1:] if argv is None else argv)
    if argv is None:
        sys.argv[1:] = words  # where fairseq looks for --user-dir before there is a parser
    parser = options.get_validation_parser(default_task="translation")
    parser.prog = NAME
    parser.add_argument("--dest", metavar="FOLDER", help="that of autoassist-tfidf, if it had one")
    parsed: argparse.Namespace = options.parse_args_and_arch(parser, words)
    config = convert_namespace_to_omegaconf(parsed)
    data_bins = utils.split_paths(config.task.data)
    if len(data_bins) != 1:
        raise ConfigError(
            f"found {len(data_bins)} data-bins in {config.task.data}, expected one: measure them "
            f"one after the other, with {NAME} {data_bins[0]} and so on"
        )
    path = config.common_eval.path
    if not path or os.pathsep in path:
        raise ConfigError(f"--path is {path!r}, expected one checkpoint of the reference model")
    if not Path(path).is_file():
        raise ConfigError(f"--path {path} is no file, expected a checkpoint of fairseq-train")
    if not config.dataset.max_tokens and not config.dataset.batch_size:
        config.dataset.max_tokens = MAX_TOKENS
    return config, parsed.dest


def _without_this_plugin(words: list[str]) -> list[str]:
    """Less a --user-dir that names it: fairseq refuses what was imported from another path."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--user-dir")
    named, others = parser.parse_known_args(words)
    return others if named.user_dir and Path(named.user_dir).name == __package__ else words


def _measure(config: Any, dest: str | None) -> tuple[np.ndarray, Path]:
    """Losses in nats/token, float32 (pairs,), NaN where not known; and where they belong."""
    import torch
    from fairseq import checkpoint_utils, tasks

    from .plugin.checkpoints import allow_fairseq_checkpoints

    allow_fairseq_checkpoints()
    task = tasks.setup_task(config.task)
    languages = task.cfg.source_lang, task.cfg.target_lang
    subset, data_bin = config.dataset.train_subset, Path(config.task.data)
    folder = feature_folder(data_bin, subset, *languages)
    folder = Path(dest) / folder.name if dest else folder
    features = Features.open(folder)
    files = open_shard(data_bin, data_bin, subset, *languages)
    features.check(files.fingerprint(), files.token_hashes())
    task.load_dataset(subset)
    try:
        models, _ = checkpoint_utils.load_model_ensemble([config.common_eval.path], task=task)
    except RuntimeError as error:  # other sizes than those of the dictionaries
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"--path {config.common_eval.path} does not fit {data_bin}: {reason}; expected a model "
            f"of the same dictionaries"
        ) from error
    cuda = torch.cuda.is_available() and not config.common.cpu
    model = models[0].to("cuda" if cuda else "cpu").eval()
    if config.common.fp16 and cuda:
        model.half()
    return _losses(model, task, config, features.rows), folder / REFERENCE_NAME


def _losses(model: Any, task: Any, config: Any, pairs: int) -> np.ndarray:
    import torch
    from fairseq import utils

    from .plugin.losses import sentence_losses

    batches = task.get_batch_iterator(
        dataset=task.dataset(config.dataset.train_subset),
        max_tokens=config.dataset.max_tokens,
        max_sentences=config.dataset.batch_size,
        max_positions=utils.resolve_max_positions(
            task.max_positions(), model.max_positions(), config.dataset.max_tokens
        ),
        ignore_invalid_inputs=True,
        num_workers=config.dataset.num_workers,
    ).next_epoch_itr(shuffle=False)
    losses = np.full(pairs, np.nan, dtype=np.float32)
    device = next(model.parameters()).device
    with torch.no_grad():
        for sample in batches:
            if device.type == "cuda":
                sample = utils.move_to_cuda(sample)
            lprobs = model.get_normalized_probs(model(**sample["net_input"]), log_probs=True)
            summed, tokens = sentence_losses(lprobs, sample["target"], task.target_dictionary.pad())
            losses[sample["id"].cpu().numpy()] = (summed / tokens).cpu().numpy()
    return losses


if __name__ == "__main__":
    sys.exit(main())
