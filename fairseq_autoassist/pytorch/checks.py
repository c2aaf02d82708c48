"""Checks of the ids and losses that a loop gives to `AutoAssist.report`."""

from __future__ import annotations

from typing import Any

import torch

from ..errors import AutoAssistError, told

_INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


class ReportError(AutoAssistError, ValueError):
    """A wrong report of losses; the message says what to change in the loop."""


def checked_ids(ids: Any) -> torch.Tensor:
    """Give item ids as a detached tensor of integers (B,), on the device that they are on.

    Args:
        ids: integers (B,): a tensor on any device, an array or a list

    Raises:
        ReportError: the ids are empty, not integers, or of another shape
    """
    found = _tensor(ids, "ids")
    if found.ndim != 1 or found.dtype not in _INTEGERS or not len(found):
        raise ReportError(
            f"found ids of type {found.dtype} with shape {tuple(found.shape)}, expected integers "
            "(B,): the first field of a batch of WithIds(dataset)"
        )
    return found.detach()


def checked_losses(losses: Any, items: int) -> torch.Tensor:
    """Give the losses of a batch as a detached float32 tensor (B,), on the device that they are on.

    Args:
        losses: floats (B,) of any precision: a tensor on any device, an array or a list
        items: B, the number of ids

    Raises:
        ReportError: the losses are not floats of shape (B,), or were computed without gradients
    """
    found = _tensor(losses, "losses")
    if found.ndim == 0:
        raise ReportError(
            f"found one loss for {items} items, expected losses of shape ({items},): compute them "
            'with reduction="none", and take their mean() for backward() after the report'
        )
    if found.shape != (items,):
        raise ReportError(
            f"found losses of shape {tuple(found.shape)} for {items} ids, expected shape "
            f"({items},): one number per item, in the order of the ids, such as "
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


def _tensor(given: Any, name: str) -> torch.Tensor:
    if isinstance(given, torch.Tensor):
        return given
    try:
        return torch.as_tensor(given)
    except (TypeError, ValueError, RuntimeError) as error:
        kind = type(given).__name__
        raise ReportError(f"found {name} in a {kind}, expected a tensor: {told(error)}") from error
