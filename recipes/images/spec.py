"""Specification of one training: data, model, arm, budget and settings."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from preprocess.text import UserError
from recipes.images import schedule
from recipes.images.arms import ARMS
from recipes.images.models import DEPTHS, WIDTH
from recipes.images.sets import parts

MOMENTUM = 0.9
DECAY = 5e-4  # of the weights, per update and unit of learning rate
SIDE = 224  # side in pixels of the square that is cut from a photo


@dataclass(frozen=True)
class Run:
    """One training.

    Attributes:
        data: name of a set, see `sets.parts`
        model: a key of `models.DEPTHS`
        arm: a key of `arms.ARMS`
        budget: samples of the full budget
        share: share of the budget that this run trains on, in (0, 1]; its schedule ends there
        seed: seed of the first weights and of the batches
        width: channels of the first stage
        batch: samples of a batch
        rate: highest learning rate
        bf16: compute in bfloat16 where that is safe (autocast)
        side: side in pixels of the square cut from a photo; other sets do not read it
        marks: number of times that loss and error are measured

    Raises:
        UserError: a value is out of its range, or no such arm, model or set exists
    """

    data: str
    model: str
    arm: str
    budget: int
    share: float = 1.0
    seed: int = 1
    width: int = WIDTH
    batch: int = 128
    rate: float = 0.1
    bf16: bool = False
    side: int = SIDE
    marks: int = 20

    def __post_init__(self) -> None:
        parts(self.data)
        for value, known, what in ((self.model, DEPTHS, "model"), (self.arm, ARMS, "arm")):
            if value not in known:
                raise UserError(f"found the {what} {value!r}; expected one of {', '.join(known)}")
        for name in ("budget", "width", "batch", "marks", "side"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}; expected 1 or more")
        if not 0.0 < self.share <= 1.0:
            raise UserError(f"found {self.share} of the budget; expected more than 0, at most 1")

    @property
    def updates(self) -> int:
        """Number of updates, 1 or more."""
        return max(1, round(self.budget * self.share / self.batch))

    @property
    def id(self) -> str:
        """Name for files and lines, different for different runs of a matrix."""
        size = f"{self.model}-w{self.width}"
        return f"{self.data}.{size}.{self.arm}.n{self.budget}.{self.share:g}.s{self.seed}"

    @property
    def settings(self) -> dict[str, Any]:
        """Settings that a record must have to be reused for this run."""
        arm = ARMS[self.arm]
        options = {key: arm.options[key] for key in sorted(arm.options)}
        chosen = {"strategy": arm.strategy, "options": options, "loop": arm.loop}
        return {**asdict(self), "schedule": schedule.NAME, **chosen}

    def mark_after(self) -> set[int]:
        """Numbers of the updates after which loss and error are measured, the last included."""
        count = min(self.marks, self.updates)
        return {round(self.updates * number / count) for number in range(1, count + 1)}
