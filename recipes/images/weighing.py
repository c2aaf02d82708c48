"""Self-paced learning and ScreenerNet, which train on every sample and weigh its loss.

Every sample costs a forward and a backward pass, even with weight 0.
"""

from __future__ import annotations

from typing import Iterator

import numpy as np
import torch
from torch.nn import functional

from recipes.images.models import build, placed, scores


class Permutations:
    """Batches of ids, int64 (batch,), of a new permutation in each pass.

    A last batch that is smaller is dropped.
    """

    def __init__(self, count: int, batch: int, seed: int) -> None:
        self.count, self.batch, self.seed = count, min(batch, count), seed
        self.passed = 0

    def __iter__(self) -> Iterator[np.ndarray]:
        rng = np.random.default_rng([self.seed, self.passed])
        self.passed += 1
        order = rng.permutation(self.count)
        for start in range(0, self.count - self.batch + 1, self.batch):
            yield order[start : start + self.batch]


class SelfPaced:
    """Self-paced learning: easy samples first (Kumar et al. 2010), with graded weights.

    The weight of loss l is v = (1 - l / lambda)^(1 / (q - 1)) below lambda, and 0 above (Li and
    Gong 2017). It minimises v l + lambda (v^q / q - v). With a large q the weight is 1 below
    lambda, as in Kumar et al. Li and Gong decrease q, so weights become graded.

    Neither paper fixes the rest for batches. Our choice: 1 / (q - 1) is the share of the run that
    is done. lambda is a moving average of a quantile of each batch's losses. The quantile rises
    from `FIRST` to 1 within `GROWING` of the run.

    Args:
        updates: number of updates of the run
    """

    FIRST = 0.5  # share of samples with a weight at the beginning
    GROWING = 0.5  # share of the run after which every sample has a weight
    DECAY = 0.9  # decay of lambda per batch

    def __init__(self, updates: int) -> None:
        self.updates, self.done = updates, 0
        self.limit: torch.Tensor | None = None  # lambda

    @property
    def quantile(self) -> float:
        """Share of the samples below lambda, in (0, 1]."""
        share = min(1.0, self.done / (self.GROWING * self.updates))
        return self.FIRST + (1.0 - self.FIRST) * share

    def weigh(self, images: torch.Tensor, losses: torch.Tensor) -> torch.Tensor:
        """Return the weights of a batch of losses (n,): float32 (n,), in [0, 1]."""
        losses = losses.float()
        now = torch.quantile(losses, self.quantile)
        self.limit = now if self.limit is None else torch.lerp(now, self.limit, self.DECAY)
        easy = (1.0 - losses / self.limit.clamp(min=1e-12)).clamp(min=0.0)
        graded = easy ** (self.done / self.updates)
        self.done += 1
        return torch.where(easy > 0.0, graded, torch.zeros_like(graded))


class Screener:
    """ScreenerNet (Kim and Choi 2018): a network that learns the weight w(x) of a sample's loss.

    Its objective, with e the sample's loss and M the margin, is

        sum_x (1 - w)^2 e + w^2 max(M - e, 0), plus alpha times the L1 norm of its parameters.

    So w rises to 1 on samples of large loss and falls on samples of small loss. Our choice: the
    network is a ResNet-18 of the trained network's width and stem, and alpha is `ALPHA`.

    Args:
        channels: channels of the images
        width: channels of the first stage
        stem: a key of `models.STEMS`
        seed: seed of the first weights
        device: device of the network
        bf16: whether it computes in bfloat16, as the trained network does
    """

    MARGIN = 1.0  # M of the paper
    ALPHA = 1e-6
    RATE = 1e-3  # learning rate of Adam

    def __init__(
        self,
        channels: int,
        width: int,
        stem: str,
        seed: int,
        device: torch.device,
        bf16: bool = False,
    ):
        self.network = placed(build("resnet18", 1, channels, width, stem, seed), device)
        self.bf16 = bf16
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=self.RATE)

    def weigh(self, images: torch.Tensor, losses: torch.Tensor) -> torch.Tensor:
        """Return the weights of a batch, float32 (n,) in (0, 1), and learn from its losses (n,)."""
        weights = torch.sigmoid(scores(self.network, images, self.bf16)).squeeze(1)
        errors = losses.float()
        objective = self.objective(weights, errors)
        norm = torch.stack([p.abs().sum() for p in self.network.parameters()]).sum()
        self.optimizer.zero_grad(set_to_none=True)
        (objective + self.ALPHA * norm).backward()
        self.optimizer.step()
        return weights.detach()

    @classmethod
    def objective(cls, weights: torch.Tensor, errors: torch.Tensor) -> torch.Tensor:
        """Objective without the norm, for weights and losses (n,): a scalar mean over samples."""
        hard = (1.0 - weights) ** 2 * errors
        easy = weights**2 * functional.relu(cls.MARGIN - errors)
        return (hard + easy).mean()
