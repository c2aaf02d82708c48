"""Colour and marker of each method on the figures of all recipes; no two methods share either.

Arms of two recipes that do the same have one look: plain training is `uniform` in each.
"""

from __future__ import annotations

from typing import NamedTuple


class Look(NamedTuple):
    """Colour and marker, as matplotlib names them."""

    colour: str
    marker: str


REFERENCE = "#a9a9a9"  # colour of lines that belong to no method, such as a bound

LOOKS = {
    "uniform": Look("black", "o"),
    "random": Look("#7f7f7f", "s"),
    # arms of recipes/compare
    "default": Look("#1f77b4", "D"),
    "default-competence": Look("#6a5acd", "$c$"),
    "prior": Look("#17becf", "v"),
    "hard-filter": Look("#ff7f0e", "P"),
    "oracle": Look("#2ca02c", "*"),
    "paper": Look("#d62728", "X"),
    "band": Look("#9467bd", "^"),
    "band-sharp": Look("#e377c2", "<"),
    "band-unguarded": Look("#c5b0d5", ">"),
    "band-competence": Look("#8b008b", "p"),
    "paper-competence": Look("#ff9896", "h"),
    "competence": Look("#8c564b", "8"),
    "spl": Look("#bcbd22", "H"),
    "infobatch": Look("#006400", "."),
    # of recipes/images
    "screenernet": Look("#00bfff", "+"),
    "own-loss": Look("#2f4f4f", "$o$"),
    "own-loss-hard": Look("#c71585", "$h$"),
    # of recipes/linear_svm: utilities are computed there, not predicted by an Assistant
    "loss": Look("#b22222", "x"),
    "loss-low": Look("#ffa500", "1"),
    "gradient": Look("#4169e1", "2"),
    "gradient-high": Look("#ff1493", "4"),
    "gradient-whole": Look("#87ceeb", "3"),
    "exact": Look("#32cd32", "_"),
    "tree": Look("#9932cc", "|"),
}
