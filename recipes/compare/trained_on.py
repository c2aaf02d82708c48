"""Training data of a run, from its trace: tokens, padding, counts of pairs, labels.

Arrays over training pairs are indexed by pair id, which is the line number in text/train.*.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fairseq_autoassist.text.binarized import BinarizedSide
from preprocess.text import UserError, read_lines
from recipes.compare.languages import languages_of


@dataclass(frozen=True)
class TrainingPairs:
    """Lengths of the training pairs in tokens, EOS included, each of shape (pairs,)."""

    source: np.ndarray
    target: np.ndarray


def load_pairs(data_bin: Path) -> TrainingPairs:
    """Read the lengths of the training subset of a data-bin."""
    langs = languages_of(data_bin)
    sides = [BinarizedSide(data_bin / f"train.{'-'.join(langs)}.{lang}") for lang in langs]
    source, target = (np.asarray(side.sizes) for side in sides)
    return TrainingPairs(source, target)


class Kept:
    """Tokens and pairs of a run, up to any update.

    Args:
        trace: of `fairseq_autoassist.core.trace.read`: one row a pair trained on, in order
        pairs: of the corpus
        rows: row numbers of the corpus that the run was given, int64; None: all
    """

    def __init__(
        self, trace: np.ndarray, pairs: TrainingPairs, rows: np.ndarray | None = None
    ) -> None:
        self.pairs = pairs
        self.ids = trace["id"].astype(np.int64)
        if rows is not None:
            self.ids = rows[self.ids]
        self.update = trace["update"]
        if len(self.ids) and self.ids.max() >= len(pairs.target):
            raise UserError(
                f"the trace names pair {self.ids.max()} of {len(pairs.target)}; expected a run on "
                f"this corpus: remove the run's folder and run it again"
            )
        target = pairs.target[self.ids].astype(np.int64)
        self._tokens = np.concatenate([[0], np.cumsum(target)])
        starts = np.flatnonzero(np.diff(trace["batch"], prepend=-1))
        rows = np.diff(np.append(starts, len(self.ids)))
        widest = [
            np.maximum.reduceat(side[self.ids], starts) if len(starts) else np.empty(0, int)
            for side in (pairs.source, pairs.target)
        ]
        self._batch_update = self.update[starts]
        self._padded = np.concatenate([[0], np.cumsum(rows * (widest[0] + widest[1]))])

    def tokens(self, update: int) -> int:
        """Target tokens trained on up to an update, that one included."""
        return int(self._tokens[np.searchsorted(self.update, update, "right")])

    def padded_tokens(self, update: int) -> int:
        """Source and target positions computed on up to an update, padding included."""
        return int(self._padded[np.searchsorted(self._batch_update, update, "right")])

    def counts(self) -> np.ndarray:
        """Times that each pair was trained on, (pairs,), uint8, or uint16 beyond 255.

        One byte a pair is small enough to be packed with the record.
        """
        counts = np.bincount(self.ids, minlength=len(self.pairs.target))
        clipped = np.minimum(counts, np.iinfo(np.uint16).max)
        return clipped.astype(np.min_scalar_type(clipped.max(initial=0)))

    def labels(self, path: Path, passes: float) -> dict[str, dict[str, float]]:
        """Counts by label: its pairs, times trained on, and times considered.

        Every pair is considered once a pass, so the last is `passes` times the pairs. Some kept
        pairs still wait in buckets when a run ends. A pair that was dropped before training counts
        as considered.
        """
        labels = np.array(list(read_lines(path)))
        counts = self.counts()
        if len(labels) != len(counts):
            raise UserError(
                f"{path} has {len(labels)} lines; expected {len(counts)}, one for each training "
                f"pair: run `python -m recipes.compare.prepare` again"
            )
        return {
            str(label): {
                "pairs": int((labels == label).sum()),
                "trained": int(counts[labels == label].sum()),
                "considered": round(passes * float((labels == label).sum())),
            }
            for label in np.unique(labels)
        }
