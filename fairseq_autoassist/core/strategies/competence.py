"""Competence-based curriculum learning (Platanios et al., NAACL 2019): easy pairs first, then all.

`EasyFirst` around a strategy that keeps every pair.
"""

from __future__ import annotations

from .base import Strategy


class Competence(Strategy):
    """Every pair that is easy enough, and no other."""

    about = "begins with easy pairs and ends with all"
    easy_first = True
