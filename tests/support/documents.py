"""Read the documents: their list, tables, links, and the files that they name."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "fairseq_autoassist"
DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in DOCS.glob("*.md"))
DOCUMENTS = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", *PAGES]
# documents that name flags and modules that were taken out
PAST = {"CHANGELOG.md", "docs/tried.md", "docs/results.md"}
SUFFIXES = {".py", ".md", ".sh", ".svg", ".png", ".toml", ".txt", ".yaml", ".json", ".cff"}
# outside this repository, or output of commands
NOT_OURS = (
    *("../", "runs/", "data-bin", "checkpoints", "FOLDER", ".venv", "build/"),
    *("manifest.json", "agreement.json", "agreement.png"),
)


def read(document: str) -> str:
    """Text of a document."""
    return (ROOT / document).read_text(encoding="utf-8")


def rows(text: str) -> list[list[str]]:
    """Rows of all tables of a text, as lists of cells; heads and rulers are left out."""
    lines = text.splitlines()
    found = []
    for line, following in zip(lines, [*lines[1:], ""]):
        head = following.startswith("|") and set(following) <= set("|-: ")
        if line.startswith("|") and not head and not set(line) <= set("|-: "):
            found.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))])
    return found


def section(text: str, title: str) -> str:
    """Text below a heading of the second level, up to the next of that level."""
    return text.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def links(text: str) -> set[str]:
    """Targets of links that are files, without their anchors."""
    return {found for found in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in found}


def named_paths(text: str) -> set[str]:
    """Words in backticks that look like paths of this repository."""
    spans = re.findall(r"`([^`\s]+)`", text)
    path = re.compile(r"[\w.-]+(/[\w.-]+)*/?")
    looks = [s for s in spans if path.fullmatch(s) and ("/" in s or Path(s).suffix in SUFFIXES)]
    return {s for s in looks if not s.startswith(NOT_OURS)}


def anchors(text: str) -> set[str]:
    """Anchors of a document that links may point to."""
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
