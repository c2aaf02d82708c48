"""AutoAssist in any PyTorch loop: a batch sampler, and one call that reports the losses.

Imports torch, numpy and scipy; fairseq need not be installed.
"""

from .dataset import WithIds
from .sampler import AutoAssist

__all__ = ["AutoAssist", "WithIds"]
