"""Colour and marker of each arm on every figure; no two arms share either."""

from __future__ import annotations

from typing import NamedTuple


class Look(NamedTuple):
    """Colour and marker, as matplotlib names them."""

    colour: str
    marker: str


LOOKS = {
    "uniform": Look("black", "o"),
    "random": Look("#7f7f7f", "s"),
    "default": Look("#1f77b4", "D"),
    "prior": Look("#17becf", "v"),
    "band-prior": Look("#000080", "d"),
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
}
