"""Convert a budget in target tokens to fairseq's --max-update.

--max-tokens bounds the padded tokens of a batch on its longer side. The number of target tokens
depends on the text. So fairseq's own code makes the batches, and their tokens are counted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from preprocess.text import UserError
from recipes.wmt14_en_de.settings import LANGS

MAX_POSITIONS = (1024, 1024)  # fairseq's default: longer pairs are not trained on
BATCH_MULTIPLE = 8  # fairseq's default


@dataclass(frozen=True)
class Budget:
    """Number of updates for a number of target tokens, and what it is computed from."""

    pass_tokens: int  # target tokens of a pass over the training pairs, EOS included
    batch_tokens: float  # mean target tokens of a rank's batch
    update_tokens: float  # mean target tokens of an update, all ranks and accumulated batches
    updates: int

    def __str__(self) -> str:
        tokens = self.updates * self.update_tokens
        return (
            f"{self.updates:,} updates of {self.update_tokens:,.0f} target tokens (mean) = "
            f"{tokens / 1e9:.3g} billion, {tokens / self.pass_tokens:.1f} passes without AutoAssist"
        )


def budget(data_bin: Path, target_tokens: int, max_tokens: int, batches: int) -> Budget:
    """Count the batches of plain training, and compute the number of updates.

    Args:
        data_bin: OUT/VOCAB/data-bin of prepare.py
        target_tokens: number to train on in the run
        max_tokens: tokens of a rank's batch, padding included
        batches: world size times --update-freq

    Raises:
        UserError: the data-bin is missing, or its pairs make no batch
    """
    sizes, groups = _fairseq_batches(data_bin, max_tokens)
    if not groups:
        raise UserError(f"{data_bin} makes no batch of --max-tokens {max_tokens}; use more")
    batch_tokens = float(np.mean([sizes[group].sum() for group in groups]))
    update_tokens = batch_tokens * batches
    updates = max(1, math.ceil(target_tokens / update_tokens))
    return Budget(int(sizes.sum()), batch_tokens, update_tokens, updates)


def _fairseq_batches(data_bin: Path, max_tokens: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the target sizes of all pairs, and the rows of each batch of an epoch."""
    from fairseq.data import Dictionary, LanguagePairDataset, data_utils

    sides = []
    for lang in LANGS:
        path = data_bin / f"dict.{lang}.txt"
        prefix = data_bin / f"train.{LANGS[0]}-{LANGS[1]}.{lang}"
        if not path.is_file() or not Path(f"{prefix}.idx").is_file():
            raise UserError(
                f"found no {path.name} and {prefix.name}.idx in {data_bin}; expected a data-bin: "
                f"run `python -m recipes.wmt14_en_de.prepare --vocab {data_bin.parent.name} "
                f"--out {data_bin.parent.parent}`"
            )
        dictionary = Dictionary.load(str(path))
        side = data_utils.load_indexed_dataset(str(prefix), dictionary, "mmap")
        sides += [side, side.sizes, dictionary]
    dataset = LanguagePairDataset(*sides)
    with data_utils.numpy_seed(0):
        rows, _ = dataset.filter_indices_by_size(dataset.ordered_indices(), MAX_POSITIONS)
    groups = dataset.batch_by_size(
        rows, max_tokens=max_tokens, required_batch_size_multiple=BATCH_MULTIPLE
    )
    return np.array(dataset.tgt_sizes), [np.asarray(group) for group in groups]
