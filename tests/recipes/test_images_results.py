"""The page on images against the records that it quotes."""

from __future__ import annotations

import json
import re
import shutil
from itertools import chain
from pathlib import Path
from typing import Any

from recipes.common.data import ROOT
from recipes.images import report

RESULTS = ROOT / "recipes" / "images" / "results"
QUOTED = 87  # rows of the page's tables of figures


def tried() -> list[str]:
    """Rows of the table of what was tried, from the records of these runs."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in (RESULTS / "tried.jsonl").read_text().splitlines():
        run = json.loads(line)
        options = run["options"]
        guard = "on" if options["guard_pairs"] else "off"
        ends = "plain" if "note" in run else "the same"
        if run["data"] == "rotated-mnist":
            head = f"| {options['lower']:g} T_k | {options['floor']:g} | {guard} | {ends} |"
            found.setdefault(head, []).append(run)
    rows = []
    for head, runs in found.items():
        errors = ", ".join(f"{100 * run['test_error']:.2f}" for run in runs)
        mean = sum(run["train_loss"] for run in runs) / len(runs)
        rows.append(f"{head} {len(runs)} | {errors} | {mean:.4f} |")
    return rows


def features() -> list[str]:
    """Rows of the table of features that were tried."""
    names = {"own": "own last loss", "class": "the class", "seen": "times seen"}
    rows = []
    for line in (RESULTS / "features.jsonl").read_text().splitlines():
        found = json.loads(line)
        title = ", ".join(names[name] for name in found["features"].split("+"))
        rows.append(f"| {title} | {found['auc']:.3f} | {found['accuracy']:.3f} |")
    return rows


def test_the_page_quotes_the_reports_of_its_records(tmp_path: Path) -> None:
    shutil.copytree(RESULTS, tmp_path / "results")
    reports = {
        folder.name: report.write(folder).splitlines()
        for folder in (tmp_path / "results").iterdir()
        if folder.is_dir()
    }
    page = (ROOT / "docs" / "images.md").read_text()
    quoted = [line for line in page.splitlines() if re.match(r"\|.*\| *[\d.]+ \|", line)]
    aside = {*tried(), *features()}
    assert len(quoted) == QUOTED and set(quoted) <= {*chain(*reports.values()), *aside}
    assert aside <= set(quoted)
