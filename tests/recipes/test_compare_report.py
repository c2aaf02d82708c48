"""Whole report: tables, pictures, and arms that were taken out."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Sequence

import numpy as np
import pytest
import sacrebleu

from recipes.common.looks import LOOKS
from recipes.compare import figures, report, tables
from recipes.compare.records import load, parse
from recipes.compare.sections import Section, sections
from recipes.compare.significance import Paired, bootstrap
from tests.support.compare_records import record, write_lines, write_runs

REFERENCES = [f"der {i} Hund läuft durch den Park und sieht {i} Katzen" for i in range(40)]
ENDS = {"uniform": 4, "random": 12, "paper": 6}  # every n-th line is translated badly


def rows(text: str, title: str) -> dict[str, list[str]]:
    """Map each "arm budget" of the table under a heading to its other columns."""
    lines = text.split(f"### {title}\n", 1)[1].split("\n#", 1)[0].splitlines()
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in lines if line[:1] == "|"]
    return {" ".join(row[:2]): row[2:] for row in cells[2:]}


def hypotheses(every: int, seed: int) -> list[str]:
    return [
        line.replace("Hund läuft", "Katze rennt") if i % every == seed % every else line
        for i, line in enumerate(REFERENCES)
    ]


def run(arm: str, budget: float, seed: int, **changes: Any) -> tuple[dict[str, Any], list[str]]:
    """Make a record and the hypotheses that give its scores."""
    lines = hypotheses(ENDS[arm], seed)
    score = sacrebleu.BLEU().corpus_score(lines, [REFERENCES]).score
    made = record(arm, (score / 3, score / 2, score - 1, score), budget, seed, **changes)
    if arm != "uniform":
        made["train"].update(keep=0.6, passes=3.0)
        made["curve"] = [
            {"update": u, "tokens": 100.0 * u, "acc": 0.5 + u / 5000, "majority": 0.55 * (u > 0)}
            for u in (0, 100, 200, 300)
        ]
        made["labels"] = {
            "clean": {"pairs": 80, "trained": 60 * seed, "considered": 100 * seed},
            "wrong": {"pairs": 40, "trained": 9, "considered": 10},
        }
    return made, lines


def matrix(root: Path, seeds: Sequence[int] = (1, 2)) -> Path:
    """Write a folder as recipes.compare.run does: test set, records, hypotheses."""
    write_lines(root / "corpora" / "multi30k" / "text" / "test.de", REFERENCES)
    for seed in seeds:
        for arm, budget in (("uniform", 1.0), ("random", 0.7), ("paper", 0.7), ("paper", 0.5)):
            made, lines = run(arm, budget, seed)
            write_runs(root, [made])
            write_lines(root / "runs" / made["run"] / "test.hyp.txt", lines)
    return root


def grouped(*made: dict[str, Any]) -> Section:
    (found,) = sections([parse(raw, Path("runs") / raw["run"], raw["run"]) for raw in made])
    return found


def test_the_report_has_all_tables_and_pictures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results"
    report.main([str(matrix(tmp_path)), "--out", str(out)])
    text = (out / "report.md").read_text(encoding="utf-8")
    assert text in capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == ["multi30k.png", "report.md"]
    assert (out / "multi30k.png").read_bytes().startswith(b"\x89PNG")
    assert "![multi30k](multi30k.png)" in text
    assert "- runs: 8\n- devices: cpu A\n- commits: aaaaaaa\n" in text
    cost = rows(text, "Cost")
    assert cost["uniform 1.00"][:6] == ["2", "1,000", "0.10", "1.00", "0.20", "1.00"]
    assert cost["paper 0.70"][3:] == "0.70 0.14 0.70 11.7 0.70 17.5 0.70 0.60 3.0".split()
    quality = rows(text, "Quality")
    assert quality["uniform 1.00"][2:5] == ["-", "-", "-"]
    assert quality["paper 0.70"][3] == "yes"
    assert quality["paper 0.50"][4] == "-"  # random has no run at this budget
    reach = rows(text, "To the baseline's final BLEU")
    assert reach["uniform 1.00"][2:] == ["1.00", "1.00", "2 of 2"]
    bootstrap = rows(text, "Paired bootstrap")
    assert set(bootstrap) == {
        f"{arm} {base}"
        for arm, base in (
            ("random 0.70", "uniform 1.00"),
            ("paper 0.70", "uniform 1.00"),
            ("paper 0.50", "uniform 1.00"),
            ("paper 0.70", "random 0.70"),
        )
    }
    assert {seeds for seeds, _ in bootstrap.values()} == {"2"}
    assert re.fullmatch(r"\+.* \[\+.*, \+.*\]", bootstrap["random 0.70 uniform 1.00"][1])
    assert re.fullmatch(r"-.* \[-.*, .*\]", bootstrap["paper 0.70 random 0.70"][1])
    marks = rows(text, "BLEU by tokens")
    final = quality["uniform 1.00"][1].split()[0]
    assert marks["uniform 1.00"][-1] == final and marks["paper 0.70"][-1] == "-"


def test_table_of_labels() -> None:
    section = grouped(*(run("paper", 0.7, seed)[0] for seed in (1, 2)), record())
    labels = [line.replace(" ", "") for line in tables.labels(section).splitlines()]
    assert labels[0] == "|label|pairs|paper0.70|"
    assert labels[2:] == ["|clean|80|0.600|", "|wrong|40|0.900|"]
    # A third of the kept pairs were still in buckets, so considered pairs are scaled by 2/3.
    whole, _ = run("paper", 0.7, 1)
    whole["train"].update(keep=1.0, considered=150.0, pairs=100)
    whole["labels"] = {"clean": {"pairs": 50, "trained": 100, "considered": 150}}
    assert tables.labels(grouped(whole)).splitlines()[2].split()[-2] == "1.000"
    # Whole passes: the third is considered at once, and 2.5 of them are in batches.
    whole["train"].update(considered=150.0, passes=2.5, pairs=125)
    whole["labels"] = {"clean": {"pairs": 50, "trained": 125, "considered": 125}}
    assert tables.labels(grouped(whole)).splitlines()[2].split()[-2] == "1.000"
    assert tables.labels(grouped(record())) == ""


def test_targets_not_reached_and_times_not_comparable_are_marked() -> None:
    section = grouped(
        record(),
        record("paper", (10, 20, 21, 22), 0.7),
        record("spl", (10, 20, 29, 30.5), device="gpu B"),
    )
    found = {
        line.split("|")[1].strip(): [c.strip() for c in line.split("|")[5:7]]
        for line in tables.reaching(section).splitlines()[2:]
    }
    assert found["paper"] == ["not reached", "not reached"]
    assert found["spl"] == ["0.92", "-"]
    cost = tables.costs(section).splitlines()
    assert [c.strip() for c in cost[4].split("|")[9:13]] == ["16.7", "-", "25.0", "-"]


def test_one_seed_has_no_interval() -> None:
    section = grouped(record(), record("random", budget=0.7), record("paper", budget=0.7))
    line = tables.quality(section).splitlines()[4]
    cells = [cell.strip() for cell in line.split("|")[1:-1]]
    assert cells[3:7] == ["30.00 (1 seed)", "+0.00 (1 seed)", "-", "+0.00 (1 seed)"]


def test_records_alone_make_a_report(tmp_path: Path) -> None:
    write_runs(tmp_path, [record("paper")])
    path = next(tmp_path.rglob("record.json"))
    report.main([str(path), "--out", str(tmp_path / "out")])
    text = (tmp_path / "out" / "report.md").read_text()
    assert "no run of uniform 1.00: no ratios, no differences to it, no acceptance" in text
    assert "no paired bootstrap: found no multi30k/text/test.de; name" in text
    assert str(tmp_path) not in text
    assert "## Acceptance\n" not in text and "## Taken out\n" not in text


def test_arms_that_were_taken_out_stand_in_one_table(tmp_path: Path) -> None:
    gone = [record("middle", (20, 29 + seed), 0.7, seed) for seed in (1, 2)]
    chance = [record("random", (20, 30), 0.7, seed) for seed in (1, 2)]
    write_runs(tmp_path, [record(), record(seed=2), *chance, *gone])
    report.main([str(tmp_path), "--out", str(tmp_path / "out")])
    text = (tmp_path / "out" / "report.md").read_text()
    (row,) = [line for line in text.splitlines() if "middle" in line]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:4] == ["multi30k, transformer, 1,000 updates", "middle", "0.70", "2"]
    assert cells[4].startswith("+0.50 [-5.85, +6.85]")  # 12.71 standard errors of 0.5
    assert row in text.split("## Taken out\n")[1].split("\n## ")[0]


def test_missing_hypotheses_give_a_remark_and_wrong_ones_are_refused(tmp_path: Path) -> None:
    root = matrix(tmp_path)
    (section,) = sections(load([root]))
    path = root / "runs" / "multi30k.transformer.paper.b070.s2" / "test.hyp.txt"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.unlink()
    tests, remarks = bootstrap(section, None)
    assert remarks == [f"no paired bootstrap for {path.parent.name}: no hypotheses"]
    assert tests["paper 0.70", "uniform 1.00"].seeds == 1
    assert tests["paper 0.50", "uniform 1.00"].seeds == 2
    write_lines(path, lines[:-1])
    with pytest.raises(SystemExit, match="holds 39 translations; expected 40"):
        bootstrap(section, None)
    write_lines(path, ["nichts", *lines[1:]])
    with pytest.raises(SystemExit, match=r"scores BLEU .*its record says"):
        bootstrap(section, None)


def test_equal_translations_have_a_difference_of_zero(tmp_path: Path) -> None:
    root = matrix(tmp_path, seeds=(1,))
    (section,) = sections(load([root]))
    tests, _ = bootstrap(section, None)
    test = tests["paper 0.50", "uniform 1.00"]
    assert test.low < test.mean < test.high
    paths = [Path(r.files.place("test.hyp.txt")) for r in section.records if r.arm == "paper"]
    own = section.cells[0].records[0]
    for path in paths:
        write_lines(path, hypotheses(ENDS["uniform"], 1))
    marks = {**own.end}
    same = [{**json.loads(r.text), "marks": [marks]} for r in section.records if r.arm == "paper"]
    write_runs(root, same)
    tests, _ = bootstrap(sections(load([root]))[0], None)
    assert tests["paper 0.50", "uniform 1.00"] == Paired(1, 0.0, 0.0, 0.0)


def test_the_figures_show_the_records_by_arm() -> None:
    section = grouped(record(), record(seed=2), record("paper"), run("paper", 0.7, 1)[0])
    loss = {c.name: (x, y) for c, x, y in figures.curves(section, "slice_loss")}
    x, y = loss["uniform 1.00"]
    assert list(x) == pytest.approx([0.025, 0.05, 0.075, 0.1])
    assert list(y) == pytest.approx([3.9 - bleu / 20 for bleu in (10, 20, 28, 30)])
    assert figures.perplexity(np.array([0.0, 1e9]))[0] == 1
    ((cell, _, lead),) = figures.curves(section, "lead", figures.accuracy)  # paper 1.00 logs none
    assert cell.name == "paper 0.70"
    assert list(lead) == pytest.approx([0.52 - 0.55, 0.54 - 0.55, 0.56 - 0.55])
    styles = [figures.style(section, cell) for cell in section.cells]
    assert len({(s["color"], s["linestyle"]) for s in styles}) == len(styles)
    paper = LOOKS["paper"]
    looks = [LOOKS["uniform"], paper, paper]
    assert [(s["color"], s["marker"]) for s in styles] == looks
