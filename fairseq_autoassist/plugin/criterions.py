"""Criterions that hand the loss of each sentence to the task; a new one is two lines at the end."""

from __future__ import annotations

import logging
from typing import Any, Callable

import torch
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.criterions.cross_entropy import CrossEntropyCriterion, CrossEntropyCriterionConfig
from fairseq.criterions.label_smoothed_cross_entropy import (
    LabelSmoothedCrossEntropyCriterion,
    LabelSmoothedCrossEntropyCriterionConfig,
)

from .losses import sentence_losses

logger = logging.getLogger(__name__)

#: key of a training sample that holds its plan: number of the micro-batch, order, weights
PLAN = "autoassist"


class SentenceLosses:
    """Mixin over a token-level criterion with fairseq's `compute_loss(..., reduce=False)`.

    It hands the unsmoothed negative log-likelihood per target token of each sentence (nats/token,
    shape (B,)) to ``task.session``, in training on samples of the plugin's iterator. Loss and
    gradients stay fairseq's own. In validation and on dummy batches it does nothing.
    """

    task: Any
    training: bool
    padding_idx: int
    _slice: dict[str, torch.Tensor] | None = None
    _plain_said = False

    def forward(self, model: Any, sample: dict[str, Any], reduce: bool = True) -> tuple:
        """Do as the criterion it extends, and log the loss over the uniform slice."""
        self._slice = None
        loss, sample_size, log = super().forward(model, sample, reduce=reduce)  # type: ignore[misc]
        if self._slice is not None:
            log.update(self._slice)
        return loss, sample_size, log

    def compute_loss(
        self, model: Any, net_output: Any, sample: dict[str, Any], reduce: bool = True
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Do as the criterion it extends, bit for bit: (loss, negative log-likelihood).

        Sentence losses come from the log-probabilities that it computes anyway.
        """
        compute = super().compute_loss  # type: ignore[misc]
        if PLAN not in sample or not self.training:
            if self.training and not self._plain_said:
                self._say_if_plain()
            return compute(model, net_output, sample, reduce=reduce)
        recorder = _Recorder(model)
        weight = sample[PLAN].get("weight")
        if weight is None:
            loss, nll = compute(recorder, net_output, sample, reduce=reduce)
        else:
            loss, nll = compute(recorder, net_output, sample, reduce=False)
            loss = loss.view(len(weight), -1) * weight.to(loss).unsqueeze(1)
            loss, nll = (loss.sum(), nll.sum()) if reduce else (loss, nll)
        with torch.no_grad():
            self._hand_over(recorder.lprobs.detach(), sample)
        return loss, nll

    def _say_if_plain(self) -> None:
        """Warn that nothing is skipped without the plugin's task."""
        self._plain_said = True
        if not hasattr(self.task, "session"):
            logger.warning(
                f"AutoAssist: --task {getattr(self.task.cfg, '_name', '')} makes the batches, so "
                "this is plain training: nothing is skipped; expected --task translation_autoassist"
            )

    def _hand_over(self, lprobs: torch.Tensor, sample: dict[str, Any]) -> None:
        """Log-probabilities (B, T, V) -> sentence losses (B,) in nats per target token."""
        skipped = getattr(self, "ignore_prefix_size", 0)
        summed, tokens = sentence_losses(lprobs, sample["target"], self.padding_idx, skipped)
        plan = sample[PLAN]
        uniform = plan["uniform"].float()
        self._slice = {
            "aa_uniform_loss": (summed * uniform).sum(),
            "aa_uniform_tokens": (tokens * uniform).sum(),
        }
        self.task.session.receive(plan["number"], summed / tokens, plan["order"])


class _Recorder:
    """Wrapper of a model that remembers its log-probabilities."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.lprobs = torch.empty(0)

    def get_normalized_probs(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Compute the model's log-probabilities and remember them."""
        self.lprobs = self._model.get_normalized_probs(*args, **kwargs)
        return self.lprobs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


def register_autoassist_criterion(name: str, dataclass: Any) -> Callable[[type], type]:
    """Register a criterion that resumes from checkpoints of its base, and the other way round.

    fairseq compares the *class name* of the criterion when it resumes, and refuses to register two
    classes of one name. So the class takes its base's name after it is registered.

    Args:
        name: for --criterion
        dataclass: flags of the criterion that it extends
    """

    def register(cls: type) -> type:
        register_criterion(name, dataclass=dataclass)(cls)
        base = next(c for c in cls.__mro__[1:] if issubclass(c, FairseqCriterion))
        cls.__name__ = base.__name__
        return cls

    return register


@register_autoassist_criterion("autoassist_cross_entropy", CrossEntropyCriterionConfig)
class AutoAssistCrossEntropy(SentenceLosses, CrossEntropyCriterion):
    """fairseq's cross_entropy, which reports sentence losses."""


@register_autoassist_criterion(
    "autoassist_label_smoothed_cross_entropy", LabelSmoothedCrossEntropyCriterionConfig
)
class AutoAssistLabelSmoothedCrossEntropy(SentenceLosses, LabelSmoothedCrossEntropyCriterion):
    """fairseq's label_smoothed_cross_entropy, which reports (unsmoothed) sentence losses."""
