"""AutoAssist in any PyTorch loop: a batch sampler, and one call that reports the losses.

The package imports torch, numpy and scipy, and needs no fairseq.
"""

from .dataset import WithIds
from .sampler import AutoAssist

__all__ = ["AutoAssist", "WithIds"]
