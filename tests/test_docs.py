"""Documents agree with the code: options, metrics, strategies, files, targets, modules."""

from __future__ import annotations

import dataclasses
import re

import pytest
from fairseq.logging import metrics as fairseq_metrics

from fairseq_autoassist.config import AutoAssistConfig, flag
from fairseq_autoassist.core.guard import CLEAN_REPORTS, DOUBTS, PATIENCE
from fairseq_autoassist.core.strategies import STRATEGIES, metric_names
from fairseq_autoassist.plugin import metrics
from tests.support import documents
from tests.support.documents import DOCUMENTS, PACKAGE, PAST, ROOT, read
from tools import make_docs

FIELDS = {flag(field.name): field for field in dataclasses.fields(AutoAssistConfig)}
PRESENT = [document for document in DOCUMENTS if document not in PAST]


def table(page: str) -> dict[str, list[str]]:
    """Rows of the table that the code makes, by their first cell without backticks."""
    made = read(f"docs/{page}.md").split(make_docs.BEGIN)[1].split(make_docs.END)[0]
    found = documents.rows(made)
    assert len({row[0] for row in found}) == len(found)
    return {row[0].strip("`"): row for row in found}


@pytest.mark.parametrize("page", ["options", "metrics"])
def test_a_page_has_the_table_that_the_code_makes(page):
    text = read(f"docs/{page}.md")
    made = {"options": make_docs.options_table, "metrics": make_docs.metrics_table}[page]()
    assert make_docs.filled(text, made) == text, "run `make pages`"


def test_a_page_without_a_place_for_the_table_is_refused():
    with pytest.raises(ValueError, match="put them in"):
        make_docs.filled("# a page\n", "| a |\n")


def test_a_metric_that_is_not_explained_is_refused(monkeypatch):
    monkeypatch.delitem(make_docs.METRICS, "gamma")
    with pytest.raises(ValueError, match="differ in gamma;"):
        make_docs.metrics_table()


def shown(default):
    """Default as the table writes it: `value`, off for a switch, (empty) for no text."""
    if default is False:
        return "off"
    return default if default != "" else "(empty)"


def test_every_flag_is_listed_with_its_default():
    rows = table("options")
    assert set(rows) == set(FIELDS)
    for name, field in FIELDS.items():
        found, default = rows[name][1].strip("`"), field.default
        is_number = isinstance(default, (int, float)) and not isinstance(default, bool)
        assert (float(found) if is_number else found) == shown(default), name


def test_every_range_is_listed():
    rows = table("options")
    for name, field in FIELDS.items():
        numbers = re.findall(r"\d+(?:\.\d+)?(?:e-\d+)?", rows[name][2])
        for bound in (field.metadata["low"], field.metadata["high"]):
            assert bound is None or f"{bound:g}" in numbers, name


def test_every_strategy_is_named():
    assert all(f"`{name}`" in table("options")["--autoassist-strategy"][3] for name in STRATEGIES)
    listed = [row[0].strip("`") for row in documents.rows(read("docs/strategies.md"))]
    assert set(listed) == set(STRATEGIES) and len(listed) == len(STRATEGIES)


def logged_metrics():
    """Names of all metrics that an update can log, from the code that logs them."""
    with fairseq_metrics.aggregate(new_root=True) as logged:
        names = {name for kind in STRATEGIES.values() for name in kind.metric_names}
        names |= {*metric_names(AutoAssistConfig(competence=True))}
        metrics.log([make_docs.Everything()], 1, sorted(names))
    return set(logged.get_smoothed_values())


def test_every_metric_is_explained():
    logged = logged_metrics()
    assert len(logged) > 10  # so that an empty log cannot pass
    assert set(table("metrics")) == logged


@pytest.mark.parametrize("document", PRESENT)
def test_no_flag_or_metric_is_named_that_does_not_exist(document):
    text = read(document)
    assert set(re.findall(r"--autoassist-[a-z-]+", text)) <= set(FIELDS)
    assert set(re.findall(r"\baa_\w+", text)) <= logged_metrics()


@pytest.mark.parametrize("document", PRESENT)
def test_every_path_exists(document):
    named = documents.named_paths(read(document))
    places = (ROOT, PACKAGE, ROOT / "docs")
    assert [s for s in named if not any((place / s).exists() for place in places)] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_leads_somewhere(document):
    folder = (ROOT / document).parent
    targets = {(folder / link).resolve() for link in documents.links(read(document))}
    assert [path.relative_to(ROOT).as_posix() for path in targets if not path.exists()] == []
    for page, anchor in re.findall(r"\]\(([^)#\s]*)#([^)]+)\)", read(document)):
        text = (folder / page).read_text(encoding="utf-8") if page else read(document)
        assert anchor in documents.anchors(text), f"{page}#{anchor}"


def test_patterns_find_files_and_links_in_documents():
    """The tests above pass where their patterns find nothing."""
    assert len(documents.named_paths(read("docs/resume.md"))) > 2
    assert len(documents.links(read("README.md"))) > 10


WORDS = {3: "three", 10: "ten"}
NUMBERS = [  # numbers of the guard, which other tests take from the code
    ("method", f"stops skipping only after {WORDS.get(DOUBTS)} bad verdicts in a row"),
    ("method", f"After {WORDS.get(PATIENCE)} in a row it has failed"),
    ("troubleshooting", f"in {WORDS.get(DOUBTS)} verdicts in a row"),
    ("troubleshooting", f"the run ends after {WORDS.get(PATIENCE)} such verdicts in a row"),
    ("troubleshooting", f"Nothing is skipped until {CLEAN_REPORTS} reports in a row are finite"),
    ("pytorch", f"nothing is skipped until {CLEAN_REPORTS} batches in a row are finite"),
]


@pytest.mark.parametrize("page, said", NUMBERS)
def test_a_page_has_the_numbers_of_the_code(page, said):
    assert said in " ".join(read(f"docs/{page}.md").split())


def test_every_make_target_exists():
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    command = r"(?:`| {4})(?:[A-Z]+=\S+ )*make ([a-z-]+)"
    named = {name for document in DOCUMENTS for name in re.findall(command, read(document))}
    assert len(named) > 5 and named <= targets


def test_every_module_exists():
    named = {name for page in DOCUMENTS for name in re.findall(r"python -m ([\w.]+)", read(page))}
    named.discard("pip")
    assert len(named) > 3
    for module in named:
        assert (ROOT / (module.replace(".", "/") + ".py")).is_file(), module


def test_every_page_is_in_the_index():
    listed = set(re.findall(r"^([\w-]+)$", read("docs/index.md"), re.MULTILINE))
    assert {page[len("docs/") : -len(".md")] for page in documents.PAGES} - {"index"} <= listed
