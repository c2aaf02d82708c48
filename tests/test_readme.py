"""README: it is short, its command stands early, and its figures are those of the pages."""

from __future__ import annotations

import re

from tests.support import documents
from tests.support.documents import read

TEXT = read("README.md")


def test_the_readme_has_at_most_150_lines():
    assert len(TEXT.splitlines()) <= 150


def test_quick_start_comes_early():
    lines = TEXT.splitlines()
    assert next(i for i, line in enumerate(lines, 1) if line.strip() == "make quickstart") <= 30


def reached(corpus, arm="default"):
    """Figures of an arm in docs/crawl.md: final BLEU, plain training's BLEU, tokens to that."""
    found = []
    for about in ("Quality", "To the baseline's final BLEU"):
        mark = rf"<!-- report: {corpus}, crawl, 4,000 updates / {about} -->\n((?:\|.*\n)+)"
        (quoted,) = re.findall(mark, read("docs/crawl.md"))
        (row,) = (row for row in documents.rows(quoted) if row[:2] == [arm, "1.00"])
        found.append(row)
    return [float(found[0][3].split()[0]), float(found[1][3]), float(found[1][4])]


def test_the_figures_of_the_table_are_those_of_the_crawl_page():
    table = documents.rows(TEXT)
    for row, corpus in zip(table[:4], ("mix77", "mix50", "mdn-de", "mdn-ja"), strict=True):
        best, plain, tokens = reached(corpus)
        assert row[1] == f"{plain:.1f} BLEU"
        assert row[2] == f"{best:.1f} BLEU after as many updates"
        assert row[3] == f"{tokens:.2f} of its tokens"


def test_the_verdict_on_raw_crawl_has_the_figures_of_the_crawl_page():
    best, plain, tokens = reached("mix77")
    oracle = reached("mix77", "oracle")[0]
    verdict = " ".join(read("docs/results.md").split())
    assert f"plain training ends at {plain:.1f} BLEU" in verdict
    assert f"with {tokens:.2f} of its tokens and ends at {best:.1f}" in verdict
    assert f"the clean pairs alone give {oracle:.1f} ([one seed]" in verdict


def test_the_flags_that_matter_exist_with_their_defaults():
    options = {row[0]: row[1] for row in documents.rows(read("docs/options.md"))}
    listed = documents.rows(documents.section(TEXT, "Five flags that matter"))
    assert len(listed) == 5
    assert all(options[name] == default for name, default, _ in listed)
