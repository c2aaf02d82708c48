"""Whole report: tables, pictures, lists of pairs, and arms that were taken out."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Sequence

import numpy as np
import pytest
import sacrebleu

from recipes.compare import extreme_pairs, figures, report, tables
from recipes.compare.looks import LOOKS
from recipes.compare.records import load, parse
from recipes.compare.sections import Section, sections
from recipes.compare.significance import Paired, bootstrap
from tests.support.compare_records import record, write_lines, write_runs

PAIRS = 120
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
        made["drift"] = [
            {"update": 100, "length": 12.0, "rarity": 5.0},
            {"update": 400, "length": 16.0, "rarity": 5.0},
        ]
        made["drift_all"] = {"length": 10.0, "rarity": 4.0}
        made["labels"] = {
            "clean": {"pairs": 80, "trained": 60 * seed, "considered": 100 * seed},
            "wrong": {"pairs": 40, "trained": 9, "considered": 10},
        }
    return made, lines


def matrix(root: Path, seeds: Sequence[int] = (1, 2)) -> Path:
    """Write a folder as recipes.compare.run does: corpus, records, hypotheses, counts."""
    corpus = root / "corpora" / "multi30k"
    write_lines(corpus / "text" / "test.de", REFERENCES)
    write_lines(corpus / "text" / "train.en", [f"english {i}" for i in range(PAIRS)])
    write_lines(corpus / "text" / "train.de", [f"deutsch {i}" for i in range(PAIRS)])
    write_lines(corpus / "labels.txt", ["clean" if i < 80 else "wrong" for i in range(PAIRS)])
    for seed in seeds:
        for arm, budget in (("uniform", 1.0), ("random", 0.7), ("paper", 0.7), ("paper", 0.5)):
            made, lines = run(arm, budget, seed)
            write_runs(root, [made])
            folder = root / "runs" / made["run"]
            write_lines(folder / "test.hyp.txt", lines)
            np.save(folder / "counts.npy", np.arange(PAIRS, dtype=np.uint16) // 4)
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
    assert sorted(path.name for path in out.iterdir()) == [
        "bleu_multi30k.png",
        "drift_multi30k.png",
        "figure4_multi30k.png",
        "figure6_multi30k.png",
        "pairs_multi30k_transformer_1000_paper.txt",
        "pairs_multi30k_transformer_1000_random.txt",
        "report.md",
    ]
    for path in out.glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")
        assert f"![{path.stem}]({path.name})" in text
    assert "- runs: 8\n- devices: cpu A\n- commits: aaaaaaa\n" in text
    cost = rows(text, "Cost")
    assert cost["uniform 1.00"][:6] == ["2", "1,000", "0.10", "1.00", "0.20", "1.00"]
    assert cost["paper 0.70"][3:] == "0.70 0.14 0.70 11.7 0.70 17.5 0.70 0.60 3.0".split()
    quality = rows(text, "Quality")
    assert quality["uniform 1.00"][2:5] == ["-", "-", "-"]
    assert quality["paper 0.70"][3] == "yes"
    assert quality["paper 0.50"][4] == "-"  # random has no run at this budget
    assert "- no run of random at the same budget or tokens: paper 0.50" in text
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
    assert bootstrap["random 0.70 uniform 1.00"][1:3] == ["2 of 2", "0 of 2"]
    assert re.fullmatch(r"\+.* \[\+.*, \+.*\]", bootstrap["random 0.70 uniform 1.00"][3])
    each, *counted, spread = bootstrap["paper 0.70 random 0.70"]
    assert re.fullmatch(r"-.* \[-.*, .*\]", spread)
    assert len(re.findall(r"-\S+ \[-\S+, \+\S+\]", each)) == 2  # both intervals contain 0
    assert counted == ["0 of 2", "0 of 2"]
    marks = rows(text, "BLEU by tokens")
    final = quality["uniform 1.00"][1].split()[0]
    assert marks["uniform 1.00"][-1] == final and marks["paper 0.70"][-1] == "-"


def test_tables_of_drift_and_labels(tmp_path: Path) -> None:
    section = grouped(*(run("paper", 0.7, seed)[0] for seed in (1, 2)), record())
    drift = tables.drift(section).splitlines()
    assert drift[2].replace(" ", "") == "|paper|0.70|1.500|1.250|"  # (12 + 3 * 16) / 4 / 10
    assert len(drift) == 3  # plain training records no drift
    labels = [line.replace(" ", "") for line in tables.labels(section).splitlines()]
    assert labels[0] == "|label|pairs|paper0.70|"
    assert labels[2:] == ["|clean|80|0.600|", "|wrong|40|0.900|"]
    # A third of the kept pairs were still in buckets, so considered pairs are scaled by 2/3.
    whole, _ = run("paper", 0.7, 1)
    whole["train"].update(keep=1.0, considered=150.0, pairs=100)
    whole["labels"] = {"clean": {"pairs": 50, "trained": 100, "considered": 150}}
    assert tables.labels(grouped(whole)).splitlines()[2].split()[-2] == "1.000"
    plain = grouped(record())
    assert tables.drift(plain) == tables.labels(plain) == ""


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
    assert "no list of most kept and most skipped pairs for paper 1.00: no counts.npy" in text
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
    assert [pair.seed for pair in tests["paper 0.70", "uniform 1.00"].pairs] == [1]
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
    (pair,) = tests["paper 0.50", "uniform 1.00"].pairs
    assert pair.low < pair.difference < pair.high
    paths = [Path(r.files.place("test.hyp.txt")) for r in section.records if r.arm == "paper"]
    own = section.cells[0].records[0]
    for path in paths:
        write_lines(path, hypotheses(ENDS["uniform"], 1))
    marks = {**own.end}
    same = [{**json.loads(r.text), "marks": [marks]} for r in section.records if r.arm == "paper"]
    write_runs(root, same)
    tests, _ = bootstrap(sections(load([root]))[0], None)
    assert tests["paper 0.50", "uniform 1.00"].pairs == [Paired(1, 0.0, 0.0, 0.0)]
    assert tests["paper 0.50", "uniform 1.00"].spread == (0.0, 0.0)


def test_the_lists_hold_the_most_kept_and_the_most_skipped_pairs(tmp_path: Path) -> None:
    (section,) = sections(load([matrix(tmp_path)]))
    paths, remarks = extreme_pairs.write(section, None, tmp_path / "out")
    assert (len(paths), remarks) == (2, [])  # random, and paper at its larger budget
    path = tmp_path / "out" / "pairs_multi30k_transformer_1000_paper.txt"
    text = path.read_text(encoding="utf-8")
    kept, skipped = text.split("== most skipped")
    assert "paper 0.70: times trained on, over 2 run(s), mean 29.00" in kept
    # Four pairs have each count, so the list ends among pairs of equal counts.
    assert "(4 pairs were trained on 34 times, as the last here)" in kept
    numbers = [int(line.split(" x ")[0]) for line in kept.splitlines() if " x  pair" in line]
    assert numbers == sorted(numbers, reverse=True)
    assert (len(numbers), numbers[0], numbers[-1]) == (50, 58, 34)
    assert "   58 x  pair 119  wrong\n      english 119\n      deutsch 119\n" in kept
    least = [int(line.split(" x ")[0]) for line in skipped.splitlines() if " x  pair" in line]
    assert (len(least), least[0], least[-1]) == (50, 0, 24)
    assert "    0 x  pair 0  clean\n      english 0\n" in skipped


def test_pairs_of_equal_counts_are_sampled_from_all_lines() -> None:
    most, least = extreme_pairs.extremes(np.ones(1000), 50)
    assert len(set(most) | set(least)) == 100
    assert max(most) > 500 and max(least) > 500
    assert list(extreme_pairs.extremes(np.ones(1000), 50)[0]) == list(most)


def test_counts_of_another_preparation_are_refused(tmp_path: Path) -> None:
    root = matrix(tmp_path)
    (section,) = sections(load([root]))
    path = root / "runs" / "multi30k.transformer.paper.b070.s2" / "counts.npy"
    np.save(path, np.zeros(7, dtype=np.uint16))
    with pytest.raises(SystemExit, match=r"counts 7 pairs, .*counts 120; expected the same corpus"):
        extreme_pairs.write(section, None, tmp_path)
    path.write_text("no array")
    with pytest.raises(SystemExit, match=r"counts\.npy is no array of numpy"):
        extreme_pairs.write(section, None, tmp_path)
    for seed in (1, 2):
        np.save(path.parent.with_name(path.parent.name[:-1] + str(seed)) / "counts.npy", [1, 2])
    with pytest.raises(SystemExit, match=r"train\.en has 120 lines, counts\.npy of its runs 2"):
        extreme_pairs.write(section, None, tmp_path)


def test_the_figures_show_the_records_by_arm() -> None:
    other = record("paper", seed=2, seconds=9.0, device="gpu B")
    section = grouped(record(), record(seed=2), record("paper"), other, run("paper", 0.7, 1)[0])
    loss = {c.name: (x, y) for c, x, y in figures.curves(section, "slice_loss", "tokens", 1e6)}
    x, y = loss["uniform 1.00"]
    assert list(x) == pytest.approx([0.025, 0.05, 0.075, 0.1])
    assert list(y) == pytest.approx([3.9 - bleu / 20 for bleu in (10, 20, 28, 30)])
    time = {c.name: x for c, x, _ in figures.curves(section, "BLEU", "wall_s", 60.0)}
    assert time["paper 1.00"][-1] == pytest.approx(1000 / 60)  # the run on the GPU is left out
    assert figures.perplexity(np.array([0.0, 1e9]))[0] == 1
    ((cell, curve),) = figures.accuracy(section)  # paper 1.00 logged no accuracy
    assert cell.name == "paper 0.70"
    assert list(curve["acc"]) == pytest.approx([0.52, 0.54, 0.56])
    styles = [figures.style(section, cell) for cell in section.cells]
    assert len({(s["color"], s["linestyle"]) for s in styles}) == len(styles)
    paper = LOOKS["paper"]
    looks = [LOOKS["uniform"], paper, paper]
    assert [(s["color"], s["marker"]) for s in styles] == looks
