"""Planned micro-batches -> fairseq samples; this runs in the loader's workers."""

from __future__ import annotations

import weakref
from typing import Any, Callable, Iterator

import numpy as np
import torch

from ..core.protocol import PlannedBatch, rows_to_positions
from .criterions import PLAN


class PlannedDataset(torch.utils.data.Dataset):
    """Wraps fairseq's dataset, which is then indexed by planned micro-batch.

    The index carries the plan through the loader, and the sample carries it to the criterion. So
    each sample is known by its number, even where some are skipped, repeated or prefetched.

    Args:
        dataset: a FairseqDataset
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __getitem__(self, batch: PlannedBatch) -> dict[str, Any]:
        """Collate a sample, and put its plan under `PLAN`.

        The plan has the number of the micro-batch, and the position of each row in the planned
        batch (int64, (B,)). It has the uniform marks (float32, (B,)), and the loss weights
        (float64, (B,)) if any differs from 1.
        """
        ids = batch.ids
        sample = self.dataset.collater([self.dataset[index] for index in ids.tolist()])
        order = rows_to_positions(sample["id"].numpy(), ids)
        uniform = batch.kept["uniform"][order]
        plan = {
            "number": batch.number,
            "order": order,  # stays a numpy array, hence on the host
            "uniform": torch.from_numpy(uniform.astype(np.float32)),
        }
        weight = batch.kept["weight"][order]
        if (weight != 1.0).any():
            # float64, because fairseq's --fp16 halves whatever is float32 in a sample
            plan["weight"] = torch.from_numpy(weight.astype(np.float64))
        sample[PLAN] = plan
        return sample

    @staticmethod
    def collate(samples: list[dict[str, Any]]) -> dict[str, Any]:
        """Give the only sample, which is collated already."""
        return samples[0]


class EpochSampler:
    """Batch sampler of the loader: a number of micro-batches of an endless stream.

    It does not keep its owner alive. fairseq's buffering thread holds the loader of a run that
    stopped in the middle of an epoch for ever. The Assistant's process must not stay with it.

    Args:
        next_batch: method that gives the next planned micro-batch; its object is held weakly
    """

    def __init__(self, next_batch: Callable[[], PlannedBatch]) -> None:
        self._next_batch = weakref.WeakMethod(next_batch)
        self.length = 0

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[list[PlannedBatch]]:
        for _ in range(self.length):
            batch = self._take()
            if batch is None:
                return
            yield [batch]

    def _take(self) -> PlannedBatch | None:
        # a method of its own, since a waiting generator keeps its local variables
        next_batch = self._next_batch()
        return None if next_batch is None else next_batch()
