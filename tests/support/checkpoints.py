"""Contents of checkpoints: state and weights."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch


def checkpoint_state(path: Path) -> dict:
    """Load a checkpoint under torch's strict rules, but for fairseq's Namespace."""
    with torch.serialization.safe_globals([argparse.Namespace]):
        return torch.load(path, map_location="cpu", weights_only=True)


def checkpoint_weights(path: Path) -> dict[str, np.ndarray]:
    """Model parameters of a checkpoint."""
    return {key: value.numpy() for key, value in checkpoint_state(path)["model"].items()}
