"""What an arm does beside training: the batches it chooses, and the weights it gives."""

from __future__ import annotations

from typing import Any, Iterable, Protocol

import torch

from fairseq_autoassist.pytorch import AutoAssist
from recipes.images.arms import ADAPTER, ARMS
from recipes.images.arrays import Batch, Images
from recipes.images.sets import stem
from recipes.images.spec import Run
from recipes.images.weighing import Permutations, Screener, SelfPaced


class Method(Protocol):
    """An arm at work."""

    @property
    def sampler(self) -> Iterable[Any]:
        """Ids of the batches of one pass; iterate it again for the next."""

    def weigh(self, batch: Batch, losses: torch.Tensor) -> torch.Tensor | None:
        """Take the losses of a batch (n,); return the samples' weights (n,), None for all 1."""

    def metrics(self) -> dict[str, float]:
        """What is drawn beside the losses."""

    def close(self) -> None:
        """End what was started."""


class Adapted:
    """An arm that is a strategy of the adapter."""

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
        """The adapter itself."""
        return self.assist

    def weigh(self, batch: Batch, losses: torch.Tensor) -> torch.Tensor | None:
        """The strategy's weights, where it has some; then the report."""
        weights = self.assist.weights(batch.ids).to(losses.device)
        self.assist.report(batch.ids, losses)
        return weights

    def metrics(self) -> dict[str, float]:
        """Those of the strategy."""
        return dict(self.assist.metrics)

    def close(self) -> None:
        """End the planner's process."""


class Weighed:
    """An arm that trains on every sample and weighs its loss."""

    def __init__(self, run: Run, data: Images, device: torch.device) -> None:
        self.sampler = Permutations(len(data.labels), run.batch, run.seed)
        self.loop: SelfPaced | Screener
        if ARMS[run.arm].loop == "spl":
            self.loop = SelfPaced(run.updates)
        else:
            self.loop = Screener(data.channels, run.width, stem(run.data), run.seed, device)
        self.mean_weight = torch.zeros(())

    def weigh(self, batch: Batch, losses: torch.Tensor) -> torch.Tensor | None:
        """The weights, by the rule of the arm."""
        weights = self.loop.weigh(batch.images, losses)
        self.mean_weight = weights.mean()
        return weights

    def metrics(self) -> dict[str, float]:
        """The mean weight of the last batch."""
        return {"mean_weight": float(self.mean_weight)}

    def close(self) -> None:
        """Nothing was started."""


def method_of(run: Run, data: Images, device: torch.device) -> Method:
    """The method of a run's arm."""
    if ARMS[run.arm].loop == ADAPTER:
        return Adapted(run, data)
    return Weighed(run, data, device)
