"""Competence-based curriculum learning (Platanios et al., NAACL 2019): easy items first, then all.

It is `EasyFirst` around a strategy that keeps every item.
"""

from __future__ import annotations

from .base import Strategy


class Competence(Strategy):
    """Keeps every item that is easy enough, and no other."""

    about = "begins with easy items and ends with all"
    easy_first = True
