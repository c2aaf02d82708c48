"""Methods of the arms: they choose batches, and give weights to samples."""

from __future__ import annotations

from typing import Any, Iterable, Protocol

import torch

from fairseq_autoassist.pytorch import AutoAssist
from recipes.images.arms import ADAPTER, ARMS
from recipes.images.arrays import Batch, Images, sent
from recipes.images.sets import stem
from recipes.images.spec import Run
from recipes.images.weighing import Permutations, Screener, SelfPaced


class Method(Protocol):
    """Method of an arm in a run."""

    @property
    def sampler(self) -> Iterable[Any]:
        """Iterable of the ids of each batch of one pass; it is iterated again for the next pass."""

    def weigh(self, batch: Batch, losses: torch.Tensor) -> torch.Tensor | None:
        """Take the losses of a batch (n,), and return the weights of its samples (n,).

        None stands for weights of 1.
        """

    def metrics(self) -> dict[str, float]:
        """Metrics at the last batch, for the curve of a record."""

    def close(self) -> None:
        """End the processes that were started."""


class Adapted:
    """Method that chooses by a strategy of the adapter."""

    def __init__(self, run: Run, data: Images) -> None:
        arm = ARMS[run.arm]
        self.assist = AutoAssist(
            data.features() if arm.assists else len(data.labels),
            batch_size=run.batch,
            seed=run.seed,
            strategy=arm.strategy,
            drop_last=True,
            max_batches=run.updates,
            **arm.options,
        )

    @property
    def sampler(self) -> Iterable[Any]:
        """The `AutoAssist` of the run."""
        return self.assist

    def weigh(self, batch: Batch, losses: torch.Tensor) -> torch.Tensor | None:
        """Return the weights of the strategy, and report the losses to it."""
        weights = self.assist.weights(batch.ids)
        self.assist.report(batch.ids, losses)
        return None if bool((weights == 1.0).all()) else sent(weights, losses.device)

    def metrics(self) -> dict[str, float]:
        """Metrics of the adapter and its strategy."""
        return dict(self.assist.metrics)

    def close(self) -> None:
        """End the process of the Assistant."""
        self.assist.close()


class Weighed:
    """Method that trains on every sample and weighs its loss."""

    def __init__(self, run: Run, data: Images, device: torch.device) -> None:
        self.sampler = Permutations(len(data.labels), run.batch, run.seed)
        self.loop: SelfPaced | Screener
        if ARMS[run.arm].loop == "spl":
            self.loop = SelfPaced(run.updates)
        else:
            how = run.width, stem(run.data), run.seed, device, run.bf16
            self.loop = Screener(data.channels, *how)
        self.mean_weight = torch.zeros(())

    def weigh(self, batch: Batch, losses: torch.Tensor) -> torch.Tensor | None:
        """Return the weights by the rule of the arm."""
        weights = self.loop.weigh(batch.images, losses)
        self.mean_weight = weights.mean()
        return weights

    def metrics(self) -> dict[str, float]:
        """Mean weight of the last batch."""
        return {"mean_weight": float(self.mean_weight)}

    def close(self) -> None:
        """Do nothing, since no process was started."""


def method_of(run: Run, data: Images, device: torch.device) -> Method:
    """Make the method of a run's arm."""
    if ARMS[run.arm].loop == ADAPTER:
        return Adapted(run, data)
    return Weighed(run, data, device)
