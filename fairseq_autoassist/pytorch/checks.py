"""What a loop hands to `AutoAssist.report`, checked before anything is learned from it."""

from __future__ import annotations

from typing import Any

import torch

_INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


class ReportError(ValueError):
    """A report that cannot be right; the message says what to change in the loop."""


def checked_ids(ids: Any) -> torch.Tensor:
    """Item ids as a tensor, where they are.

    Args:
        ids: integers (B,): a tensor on any device, an array or a list

    Raises:
        ReportError: they are something else
    """
    found = ids if isinstance(ids, torch.Tensor) else torch.as_tensor(ids)
    if found.ndim != 1 or found.dtype not in _INTEGERS or not len(found):
        raise ReportError(
            f"found ids of type {found.dtype} with shape {tuple(found.shape)}, expected integers "
            "(B,): the first of what a batch of WithIds(dataset) holds"
        )
    return found.detach()


def checked_losses(losses: Any, items: int) -> torch.Tensor:
    """The losses of a batch as float32, where they are.

    Args:
        losses: floats (B,) of any precision: a tensor on any device, an array or a list
        items: B

    Raises:
        ReportError: they are something else, or those of an evaluation
    """
    found = losses if isinstance(losses, torch.Tensor) else torch.as_tensor(losses)
    if found.ndim == 0:
        raise ReportError(
            f"found one loss for {items} items, expected losses of shape ({items},): compute them "
            'with reduction="none", and take their mean() for backward() after the report'
        )
    if found.shape != (items,):
        raise ReportError(
            f"found losses of shape {tuple(found.shape)} for {items} ids, expected shape "
            f"({items},): one number an item, in the order of the ids, such as "
            "losses.flatten(1).mean(1)"
        )
    if not found.is_floating_point():
        raise ReportError(f"found losses of type {found.dtype}, expected floating point numbers")
    if not torch.is_grad_enabled() and not found.requires_grad:
        raise ReportError(
            "found losses that were computed without gradients, expected those of training: an "
            "evaluation loop must not report"
        )
    return found.detach().float()
