"""The README says what the code does: flags, metrics, files, targets and modules are compared."""

import dataclasses
import re
from pathlib import Path

import pytest
from fairseq.logging import metrics as fairseq_metrics

from fairseq_autoassist.config import AutoAssistConfig, flag
from fairseq_autoassist.core.strategies import STRATEGIES, metric_names
from fairseq_autoassist.plugin import metrics

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "fairseq_autoassist"
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
FIELDS = {flag(field.name): field for field in dataclasses.fields(AutoAssistConfig)}
DOCUMENTS = ["README.md", "CONTRIBUTING.md"]
SUFFIXES = {".py", ".md", ".sh", ".svg", ".toml", ".txt", ".yaml"}
# outside this repository, or what commands leave behind
NOT_OURS = ("../", "runs/", "data-bin", "checkpoints", "FOLDER", "manifest.json", ".venv")


def section(title):
    """The text under a heading, up to the next of its level."""
    return TEXT.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def table(title):
    """Rows of the first cells of the tables of a section, as lists of cells, heads left out."""
    lines = [line for line in section(title).splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in rows[1:] if not set(row[0]) <= {"-"}]


def shown(default):
    """A default as the table writes it: `value`, off for a switch, (empty) for no text."""
    if default is False:
        return "off"
    return default if default != "" else "(empty)"


def test_quick_start_comes_early():
    lines = TEXT.splitlines()
    assert next(i for i, line in enumerate(lines, 1) if line.strip() == "make quickstart") <= 30


def test_every_flag_is_listed_with_its_default():
    rows = {row[0].strip("`"): row for row in table("Flags")}
    assert list(rows) == list(FIELDS)
    for name, field in FIELDS.items():
        found, default = rows[name][1].strip("`"), field.default
        is_number = isinstance(default, (int, float)) and not isinstance(default, bool)
        assert (float(found) if is_number else found) == shown(default), name


def test_every_range_is_said():
    rows = {row[0].strip("`"): row[2] for row in table("Flags")}
    for name, field in FIELDS.items():
        bounds = field.metadata["low"], field.metadata["high"]
        for bound in bounds:
            # a flag for which 0 means "never" says that instead
            assert bound is None or f"{bound:g}" in re.findall(r"\d+(?:\.\d+)?", rows[name]), name


def test_every_strategy_is_named():
    (row,) = (row for row in table("Flags") if "autoassist-strategy" in row[0])
    assert all(f"`{name}`" in row[2] for name in STRATEGIES)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_no_flag_is_named_that_does_not_exist(document):
    named = re.findall(r"--autoassist-[a-z-]+", (ROOT / document).read_text(encoding="utf-8"))
    assert set(named) <= set(FIELDS)


class Everything(dict):
    """A logging output that holds whatever it is asked for."""

    def get(self, key, default=None):
        """1, whatever the key."""
        return 1.0


def logged_metrics():
    """Names of all metrics that an update can log, from the code that logs them."""
    with fairseq_metrics.aggregate(new_root=True) as logged:
        names = {name for kind in STRATEGIES.values() for name in kind.metric_names}
        names |= {*metric_names(AutoAssistConfig(competence=True))}
        metrics.log([Everything()], 1, sorted(names))
    return set(logged.get_smoothed_values())


def test_every_metric_is_explained():
    logged = logged_metrics()
    assert len(logged) > 10  # so that an empty log cannot pass
    explained = [name for row in table("Metrics") for name in re.findall(r"`(aa_\w+)`", row[0])]
    assert len(explained) == len(set(explained))
    assert set(explained) == logged


def test_no_metric_is_named_that_does_not_exist():
    assert set(re.findall(r"\baa_\w+", TEXT)) <= logged_metrics()


def named_paths(text):
    """What looks like a path of this repository: in backticks, or the target of a link."""
    spans = re.findall(r"`([^`\s]+)`", text) + re.findall(r"\]\(([^)#\s]+)\)", text)
    path = re.compile(r"[\w.-]+(/[\w.-]+)*/?")
    looks = [s for s in spans if path.fullmatch(s) and ("/" in s or Path(s).suffix in SUFFIXES)]
    return {s for s in looks if not s.startswith(NOT_OURS)}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_path_exists(document):
    named = named_paths((ROOT / document).read_text(encoding="utf-8"))
    assert len(named) > 3
    missing = [s for s in named if not ((ROOT / s).exists() or (PACKAGE / s).exists())]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_make_target_exists(document):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    text = (ROOT / document).read_text(encoding="utf-8")
    named = set(re.findall(r"(?:`| {4})(?:[A-Z]+=\S+ )*make ([a-z-]+)", text))
    assert named and named <= targets


def test_every_module_and_anchor_exists():
    for module in re.findall(r"python -m ([\w.]+)", TEXT):
        assert (ROOT / (module.replace(".", "/") + ".py")).is_file(), module
    heads = re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= anchors
