"""Cost of reaching a gap, judgement of the claims, and quotes of docs/svm.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from preprocess.text import UserError
from recipes.linear_svm import quote, report, runs, theorem
from recipes.linear_svm.problem import optimum
from recipes.linear_svm.records import Records, load, median_reach, ratio, reach
from recipes.linear_svm.run import facts
from recipes.linear_svm.solvers import SOLVERS
from recipes.linear_svm.verdict import importance_lines, shrinking_line
from tests.support.svm import small


def curve(solver: str, gaps: list[float], step: float = 10.0, seed: int = 1) -> dict[str, Any]:
    """Curve with a mark every `step` updates, of 1 ms each."""
    updates = [step * (i + 1) for i in range(len(gaps))]
    seconds = [value / 1000 for value in updates]
    found = {"data": "a", "solver": solver, "seed": seed, "gap": gaps}
    return {**found, "updates": updates, "seconds": seconds}


def records(*curves: dict[str, Any]) -> Records:
    return Records([{"data": "a"}], list(curves), [])


def test_a_gap_is_reached_once_it_stays_below() -> None:
    dips = curve("pegasos", [0.5, 0.05, 0.2, 0.05, 0.04])
    assert reach(dips, "updates", 0.1) == 40.0
    assert reach(dips, "seconds", 0.1) == 0.04
    assert reach(dips, "updates", 1.0) == 10.0
    assert reach(dips, "updates", 0.01) is None


def test_a_gap_is_reached_only_if_every_seed_reaches_it() -> None:
    good = [curve("pegasos", [0.5, 0.05], step) for step in (10.0, 20.0, 50.0)]
    assert median_reach(good, "updates", 0.1) == 40.0
    assert median_reach([*good, curve("pegasos", [0.5, 0.5])], "updates", 0.1) is None
    found = records(*good, curve("gradient", [0.5, 0.05], 5.0))
    assert ratio(found, "a", "gradient", "updates", 0.1) == 0.25
    assert ratio(found, "a", "gradient", "updates", 0.01) is None


def test_the_claim_of_shrinking_names_the_data_sets_with_fewer_updates() -> None:
    base = curve("pegasos", [0.5, 0.005])
    two = Records([{"data": "a"}, {"data": "b"}], [], [])
    for step, held in ((7.0, 2), (8.0, 0)):
        curves = [base, curve("gradient", [0.5, 0.005], step)]
        found = two._replace(curves=[{**c, "data": data} for c in curves for data in "ab"])
        assert f"to 0.01: holds on {held} of 2 data sets. " in shrinking_line(found, "gradient")
    one = two._replace(curves=[base, curve("gradient", [0.5, 0.005], 7.0)])
    assert "holds on 1 of 2 data sets. Yes: a 0.70. No: b not" in shrinking_line(one, "gradient")


@pytest.mark.parametrize(
    ("step", "times", "word"),
    [(5.0, 10.0, "holds"), (5.0, 4.0, "does not hold"), (11.0, 10.0, "does not hold")],
)
def test_importance_sampling_is_judged_by_updates_and_time(
    step: float, times: float, word: str
) -> None:
    exact = curve("exact", [0.5, 0.05], step)
    exact["seconds"] = [0.01 * times, 0.02 * times]
    (line,) = importance_lines(records(curve("pegasos", [0.5, 0.05]), exact))
    assert f"the time: {word} (" in line
    exact["gap"] = [0.5, 0.4]
    (line,) = importance_lines(records(curve("pegasos", [0.5, 0.05]), exact))
    assert f"not reached in {times:.0f} times" in line


def test_runs_become_a_report_with_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = small()
    fact = facts(problem)
    assert (fact.rows, fact.columns, fact.best) == (60, 20, optimum(problem)[1])
    assert 0 < fact.violated < 1 and fact.spread < 1e-6
    found = [(problem, fact.best)]
    curves = runs.measure(found, 2, 1, tmp_path / "curves", draws=3000)
    assert [c["solver"] for c in curves] == [*SOLVERS, *SOLVERS]
    # A missing curve is made again; curves of other settings are not reused.
    (tmp_path / "curves" / "small.tree.2.json").unlink()
    again = runs.measure(found, 2, 1, tmp_path / "curves", draws=3000)
    assert again[:-1] == curves[:-1] and again[-1]["gap"] == curves[-1]["gap"]
    assert runs.measure(found, 1, 1, tmp_path / "curves", draws=20)[0]["draws"][-1] == 20
    monkeypatch.setattr(theorem, "STEPS", 2000)
    decay = theorem.measure(seeds=2)
    lines = [{"facts": fact.__dict__}, *curves]
    lines += [{"theorem": "T_k", "slope": theorem.slope(decay), **decay.as_record()}]
    (tmp_path / "records.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    text = report.write(tmp_path)
    assert "Medians over 2 seeds" in text
    assert all(f"| {solver.title} |" in text for solver in SOLVERS.values())
    for name in quote.FIGURES:
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_without_curves_there_is_no_report(tmp_path: Path) -> None:
    (tmp_path / "records.jsonl").write_text("", encoding="utf-8")
    with pytest.raises(UserError, match="holds no curves"):
        load(tmp_path / "records.jsonl")


def test_marked_blocks_are_replaced_and_a_wrong_mark_is_refused() -> None:
    page = "a\n<!-- report: x -->\nold\n<!-- end -->\nb\n"
    assert quote.quoted(page, {"x": "\nnew\n"}) == page.replace("old", "new")
    with pytest.raises(UserError, match="has no x; expected one of y"):
        quote.quoted(page, {"y": ""})


def test_the_page_is_made_from_the_records() -> None:
    page = quote.PAGE.read_text(encoding="utf-8")
    assert page.count("<!-- report: ") == page.count("<!-- end -->") >= 3
    assert quote.quoted(page, quote.blocks(quote.KEPT)) == page


def test_the_kept_records_agree_with_theorem_1() -> None:
    case, control = load(quote.KEPT / "records.jsonl").theorems
    assert case["slope"] <= -0.9 < -0.1 < control["slope"]
    assert np.all(np.array(case["squares"]) <= case["bound"] / np.array(case["steps"]))
