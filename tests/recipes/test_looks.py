"""Looks on figures, over the arms of all recipes: one method has one look, and no other has it."""

from __future__ import annotations

from matplotlib.colors import to_rgb
from matplotlib.markers import MarkerStyle

from recipes.common.looks import LOOKS, REFERENCE, Look
from recipes.compare.arms import ARMS as COMPARED
from recipes.images.arms import ARMS as IMAGES
from recipes.linear_svm import figures
from recipes.linear_svm.solvers import SOLVERS

CASES = dict(zip(("T_k", "2 T_k"), figures.CASES))
ARMS: dict[tuple[str, str], Look] = {
    **{("compare", name): LOOKS[name] for name in COMPARED},
    **{("images", name): arm.look for name, arm in IMAGES.items()},
    **{("svm", name): solver.look for name, solver in SOLVERS.items()},
    **{("theorem", name): look for name, look in CASES.items()},
}
SAME = [
    {("compare", "uniform"), ("images", "sgd"), ("svm", "pegasos")},
    {("compare", "random"), ("images", "random")},
    {("compare", "paper"), ("images", "autoassist")},
    {("compare", "spl"), ("images", "spl")},
    {("compare", "infobatch"), ("images", "infobatch")},
    {("compare", "own-loss"), ("images", "own-loss")},
    {("svm", "gradient"), ("theorem", "T_k")},
]


def test_arms_have_the_same_look_exactly_where_they_are_the_same_method() -> None:
    by_look: dict[Look, set[tuple[str, str]]] = {}
    for arm, look in ARMS.items():
        by_look.setdefault(look, set()).add(arm)
    shared = [arms for arms in by_look.values() if len(arms) > 1]
    assert sorted(map(sorted, shared)) == sorted(map(sorted, SAME))
    assert set(by_look) == set(LOOKS.values())  # no look without an arm


def test_no_two_looks_share_a_colour_or_a_marker() -> None:
    colours = {to_rgb(look.colour) for look in LOOKS.values()}
    assert len(colours) == len({look.marker for look in LOOKS.values()}) == len(LOOKS)
    for look in LOOKS.values():
        MarkerStyle(look.marker)  # raises where matplotlib has no such marker
    assert to_rgb(REFERENCE) not in colours
