"""Small training loop in plain PyTorch, which the tests of `pytorch/` vary."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from fairseq_autoassist.pytorch import AutoAssist, WithIds

ITEMS, WIDTH, BATCH = 600, 8, 32

#: arguments with which each strategy decides something within a few passes
STRATEGIES: dict[str, dict[str, Any]] = {
    "uniform": {},
    "random": {"keep": 0.6},
    "autoassist": {"guard_pairs": 0, "gamma_decay": 0.5, "floor": 0.1},
    "own-loss": {"guard_pairs": 0, "gamma_decay": 0.5, "floor": 0.1},
    "competence": {"competence_updates": 40},
    "spl": {"spl_passes": 2.0},
    "infobatch": {"max_passes": 4.0},
    "prior": {},
}


def points() -> tuple[np.ndarray, np.ndarray]:
    """Points of two classes, mostly easy to separate: float32 (ITEMS, WIDTH), int64 (ITEMS,)."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, ITEMS)
    spread = np.where(rng.random(ITEMS) < 0.7, 0.1, 2.0)
    inputs = spread[:, None] * rng.normal(size=(ITEMS, WIDTH)) + 2 * labels[:, None]
    return inputs.astype(np.float32), labels


def dataset() -> TensorDataset:
    """Data set of the points as (input, label)."""
    return TensorDataset(*map(torch.from_numpy, points()))


def make(strategy: str = "autoassist", **arguments: Any) -> AutoAssist:
    """Make an AutoAssist that plans in this process, with all that the strategy needs."""
    given: dict[str, Any] = {"batch_size": BATCH, "inline": True, **STRATEGIES[strategy]}
    if strategy == "competence":
        given["difficulty"] = np.abs(points()[0]).sum(1)
    if strategy == "prior":
        given["prior"] = np.linspace(0.0, 1.0, ITEMS)
    return AutoAssist(points()[0], strategy=strategy, **{**given, **arguments})


class Loop:
    """Model, its optimizer, and a record of what they were trained on.

    Attributes:
        batches: ids of each batch, in order
        losses: the losses of each
    """

    def __init__(self, assist: AutoAssist, loader: Any = None, **settings: Any) -> None:
        torch.manual_seed(0)
        self.assist = assist
        self.model = torch.nn.Linear(WIDTH, 2)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
        self.loader = loader or DataLoader(WithIds(dataset()), batch_sampler=assist, **settings)
        self.batches: list[list[int]] = []
        self.losses: list[list[float]] = []

    def epoch(self, steps: int | None = None) -> None:
        """Train for an epoch, or what is left of it, or for some steps of it."""
        for step, (ids, inputs, labels) in enumerate(self.loader):
            self.step(ids, inputs, labels)
            if steps is not None and step + 1 == steps:
                return

    def step(self, ids: torch.Tensor, inputs: torch.Tensor, labels: torch.Tensor) -> None:
        """Train on a batch."""
        losses = functional.cross_entropy(self.model(inputs), labels, reduction="none")
        weights = self.assist.weights(ids)
        self.assist.report(ids, losses)
        self.optimizer.zero_grad()
        (weights * losses).mean().backward()
        self.optimizer.step()
        self.batches.append(ids.tolist())
        self.losses.append(losses.tolist())

    def state(self) -> dict[str, Any]:
        """State that a program saves, without the loader's."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "assist": self.assist.state_dict(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Resume from a saved state."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if "assist" in state:
            self.assist.load_state_dict(state["assist"])


class Trained(NamedTuple):
    """Batches and losses that a loop was trained on."""

    batches: list[list[int]]
    losses: list[list[float]]


def trained(strategy: str, steps: int, epochs: int = 1, **arguments: Any) -> Trained:
    """Train a loop without loader workers for so many steps; returns what it trained on."""
    loop = Loop(make(strategy, **arguments))
    while len(loop.batches) < steps:
        loop.epoch(steps - len(loop.batches))
    return Trained(loop.batches, loop.losses)
