"""The package needs no more than the oldest Python that setup.py names.

No test runs on that Python. ruff refuses newer syntax, but not newer objects of the library.
"""

from __future__ import annotations

import ast
import builtins
from typing import Iterator

from tests.support.documents import PACKAGE, ROOT

# Python 3.9 and 3.10 brought these; a name of another object may be equal, and is then renamed.
NEWER = {"cache", "removeprefix", "removesuffix", "is_relative_to", "readlink", "lcm", "pairwise"}
NEWER |= {"randbytes", "BooleanOptionalAction", "bit_count", "to_thread", "nextafter", "unparse"}
GENERIC_SINCE_3_9 = {"collections", "collections.abc", "contextlib", "os", "queue", "re"}


def annotated(tree: ast.AST) -> set[ast.AST]:
    """Nodes of annotations, which are not evaluated."""
    found = [
        getattr(node, name, None) for node in ast.walk(tree) for name in ("annotation", "returns")
    ]
    return {inner for node in found if node is not None for inner in ast.walk(node)}


def newer(text: str) -> Iterator[str]:
    """Yield what the code of a file needs from a Python after 3.8."""
    tree = ast.parse(text, feature_version=(3, 8))
    classes = {name for name in dir(builtins) if isinstance(getattr(builtins, name), type)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level:
            names = {alias.name for alias in node.names}
            yield from sorted(names & NEWER)
            classes |= names if node.module in GENERIC_SINCE_3_9 else set()
    skipped = annotated(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in NEWER:
            yield ast.unparse(node)
        if isinstance(node, ast.Subscript) and node not in skipped:
            if isinstance(node.value, ast.Name) and node.value.id in classes:
                yield ast.unparse(node)


def test_the_package_runs_on_the_oldest_python_that_it_names() -> None:
    assert 'python_requires=">=3.8"' in (ROOT / "setup.py").read_text(encoding="utf-8")
    for path in sorted(PACKAGE.rglob("*.py")):
        assert not list(newer(path.read_text(encoding="utf-8"))), path


def test_what_newer_pythons_brought_is_found() -> None:
    assert list(newer("States = dict[int, str]\ndef f(x: dict[int, str]) -> list[int]: ...\n")) == [
        "dict[int, str]"
    ]
    assert list(newer("import functools\n@functools.cache\ndef f(): ...\n")) == ["functools.cache"]
    assert list(newer("from functools import cache\n")) == ["cache"]
    assert list(
        newer("from collections.abc import Mapping\nclass A(Mapping[str, int]): ...\n")
    ) == ["Mapping[str, int]"]
