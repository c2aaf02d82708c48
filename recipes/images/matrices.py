"""Matrices of runs by name, for `python -m recipes.images.run NAME`."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from preprocess.text import UserError
from recipes.images.arms import ARMS
from recipes.images.sets import parts
from recipes.images.spec import Run

SHARES = (1.0, 0.6, 0.4)  # of the budget, each with its own schedule
SEEDS = (1, 2, 3)
CHOOSING = ("sgd", "random", "autoassist", "infobatch")
DEPTHS = ("resnet18", "resnet34", "resnet101")
SETS = ("mnist", "rotated-mnist", "cifar10", "photos")
NARROW = 16  # channels of the first stage, for a CPU
SLOW = 300_000  # samples of CIFAR-10 on a CPU: nearly seven passes
LONG = 1_200_000  # samples of MNIST: twenty passes, in which a network learns wrong labels by heart
# a CPU with bfloat16 instructions (AVX-512 or AMX) takes 0.6 of the time a sample
_CPU: Mapping[str, Any] = {"width": NARROW, "bf16": True, "marks": 10}

# plain name of a set -> settings of its runs; the published photos are few: a small budget
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "mnist": {"budget": 300_000},
    "rotated-mnist": {"budget": 300_000},
    "cifar10": {"budget": 900_000},
    "photos": {"budget": 36_000, "batch": 32, "rate": 0.02},
}


def grid(
    sets: Sequence[str],
    models: Sequence[str],
    arms: Sequence[str],
    seeds: Sequence[int] = (1,),
    shares: Sequence[float] = (1.0,),
    **others: Any,
) -> list[Run]:
    """All combinations, one whole comparison after the other, so an early end leaves whole ones.

    Args:
        others: settings of every run; they override those of its set
    """
    return [
        Run(data, model, arm, share=share, seed=seed, **{**SETTINGS[parts(data)[0]], **others})
        for seed in seeds
        for share in shares
        for data in sets
        for model in models
        for arm in arms
    ]


def _quick() -> list[Run]:
    """Runs of `make images`: MNIST, a narrow ResNet-18, one seed."""
    arms = ("sgd", "autoassist", "random")
    return grid(["mnist"], ["resnet18"], arms, budget=180_000, width=NARROW, marks=12)


def _figures() -> list[Run]:
    """Runs of Figures 3 and 6 on a CPU: a narrow ResNet-18, three sets, seeds and budgets."""
    how = ["resnet18"], (*CHOOSING, "own-loss-hard"), SEEDS, SHARES
    digits = grid(["rotated-mnist", "mnist"], *how, **_CPU)
    return digits + grid(["cifar10"], *how, **_CPU, budget=SLOW)


def _cost() -> list[Run]:
    """Runs that measure the time per sample: every arm, and two arms at full width."""
    short: Mapping[str, Any] = {"budget": 20_000, "marks": 1}
    narrow = grid(["mnist", "cifar10"], ["resnet18"], list(ARMS), width=NARROW, **short)
    return narrow + grid(["mnist"], ["resnet18"], ["sgd", "autoassist"], **short)


def _noise() -> list[Run]:
    """Runs on rotated MNIST and CIFAR-10 with 40% of the labels replaced."""
    how = ["resnet18"], (*CHOOSING, "own-loss"), SEEDS
    digits = grid(["rotated-mnist-noise40"], *how, **_CPU, budget=LONG)
    return digits + grid(["cifar10-noise40"], *how, **_CPU)


def _photos() -> list[Run]:
    """Runs on a folder of photos on a CPU: every arm, a narrow ResNet-18."""
    return grid(["photos"], ["resnet18"], list(ARMS), SEEDS, width=NARROW, side=64)


def _gpu() -> list[Run]:
    """Runs on CIFAR-10, ResNet-18 at full width in bf16: about ten minutes of one GPU."""
    return grid(["cifar10"], ["resnet18"], CHOOSING, SEEDS, bf16=True)


def _paper() -> list[Run]:
    """Runs of the paper's matrix at full width, with further arms: for a GPU."""
    return grid(SETS, DEPTHS, list(ARMS), SEEDS, bf16=True)


MATRICES = {
    "quick": _quick,
    "figures": _figures,
    "cost": _cost,
    "noise": _noise,
    "photos": _photos,
    "gpu": _gpu,
    "paper": _paper,
}


def matrix(name: str) -> list[Run]:
    """Return the runs of a matrix, in the order in which they begin.

    Raises:
        UserError: no matrix has that name
    """
    if name not in MATRICES:
        raise UserError(f"found the matrix {name!r}; expected one of {', '.join(MATRICES)}")
    return MATRICES[name]()
