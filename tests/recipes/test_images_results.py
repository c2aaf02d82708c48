"""The page on images against the records that it quotes."""

from __future__ import annotations

import re
import shutil
from itertools import chain
from pathlib import Path

from recipes.common.data import ROOT
from recipes.images import report

RESULTS = ROOT / "recipes" / "images" / "results"


def test_the_page_quotes_the_reports_of_its_records(tmp_path: Path) -> None:
    shutil.copytree(RESULTS, tmp_path / "results")
    reports = {
        folder.name: report.write(folder).splitlines()
        for folder in (tmp_path / "results").iterdir()
    }
    page = (ROOT / "docs" / "images.md").read_text()
    quoted = [line for line in page.splitlines() if re.match(r"\|.*\| *[\d.]+ \|", line)]
    assert len(quoted) == 29 and set(quoted) <= set(chain(*reports.values()))
    # accuracies of the Assistant and of the majority class
    words = re.findall(r"0\.\d{3} on [a-zMNIST ]*MNIST", page)
    expected = [
        row.split("|")[2:4]
        for row in reports["figures"]
        if re.fullmatch(r"\| Auto\w+( \| [\d.]+){2} \|", row)
    ]
    assert [[f" {each.split()[0]} "] * 2 for each in words] == expected
