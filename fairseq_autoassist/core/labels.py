"""From losses to labels: the running threshold T_k, and z_i = 1[lower T_k < loss_i <= upper T_k].

For text a loss is the unsmoothed negative log-likelihood per target token (nats/token). A summed
loss would only pick long sentences. The paper's label is 1[loss_i > T_k]: the higher the loss, the
more useful the item. By default an item with a loss far above T_k is labelled 0 too: the model
cannot learn it now, or never. Source: Zhang et al. 2019, section 3.2; the limits are ours.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np


def ema(old: float, new: float, decay: float) -> float:
    """Make one step of an exponential moving average: ``decay * old + (1 - decay) * new``."""
    return decay * old + (1.0 - decay) * new


def update_threshold(threshold: float | None, losses: np.ndarray, decay: float) -> float | None:
    """Give T_k after the losses of one report.

    Args:
        threshold: T_{k-1} in nats/token, or None before the first report
        losses: finite losses, nats/token, shape (n,); an empty report changes nothing
        decay: weight of the past, in [0, 1)

    Returns:
        T_k in nats/token; the average starts with the mean of the first report
    """
    if losses.size == 0:
        return threshold
    mean = float(losses.mean(dtype=np.float64))
    return mean if threshold is None else ema(threshold, mean, decay)


class Band(NamedTuple):
    """Losses that are labelled 1, as multiples of T_k; the paper's are (1, infinity)."""

    lower: float = 1.0
    upper: float = math.inf


PAPER = Band()


def labels(losses: np.ndarray, threshold: float, band: Band = PAPER) -> np.ndarray:
    """Labels z_i = 1[lower T_k < loss_i <= upper T_k]; under the paper's band 1[loss_i > T_k].

    Args:
        losses: nats/token, shape (n,)
        threshold: T_k, nats/token; a band with an upper limit needs one above 0
        band: limits, as multiples of T_k

    Returns:
        bool array, shape (n,): True for an item worth training on
    """
    above = losses > band.lower * threshold
    return above if math.isinf(band.upper) else above & (losses <= band.upper * threshold)
