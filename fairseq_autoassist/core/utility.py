"""From losses to labels: the running threshold T_k and z_i = 1[loss_i > T_k].

Utility of a pair is the Boss's unsmoothed negative log-likelihood per target token (nats/token);
a summed loss would only pick long sentences. Source: Zhang et al. 2019, section 3.2.
"""

from __future__ import annotations

import numpy as np


def ema(old: float, new: float, decay: float) -> float:
    """One step of an exponential moving average: ``decay * old + (1 - decay) * new``."""
    return decay * old + (1.0 - decay) * new


def update_threshold(threshold: float | None, losses: np.ndarray, decay: float) -> float | None:
    """T_k after the losses of one report.

    Args:
        threshold: T_{k-1} in nats/token, or None before the first report
        losses: finite losses, nats/token, shape (n,); an empty report changes nothing
        decay: weight of the past, in [0, 1)

    Returns:
        T_k in nats/token; the first report's mean starts the average
    """
    if losses.size == 0:
        return threshold
    mean = float(losses.mean(dtype=np.float64))
    return mean if threshold is None else ema(threshold, mean, decay)


def labels(losses: np.ndarray, threshold: float) -> np.ndarray:
    """z_i = 1[loss_i > T_k].

    Args:
        losses: nats/token, shape (n,)
        threshold: T_k, nats/token

    Returns:
        bool array, shape (n,): True for a pair the Boss still learns from
    """
    return losses > threshold
