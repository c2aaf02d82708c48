"""Identifiers that translations carry over: what counts as one, and the line of a run."""

from __future__ import annotations

from pathlib import Path

import pytest
import sacrebleu

from preprocess.text import UserError
from recipes.crawl import names
from tests.support.compare_records import record, write_lines, write_runs

SOURCES = [
    "Call Array.map before std::vector is read.",
    "Set max_len to one, as innerHTML does.",
    "See e-mail below.",
]
REFERENCES = [
    "Rufen Sie Array.map auf, bevor std::vector gelesen wird.",
    "Setzen Sie max_len auf eins, wie es innerHTML tut.",
    "Siehe E-Mail unten.",
]
TRANSLATIONS = [
    "Rufen Sie Array.map auf, bevor der Vektor gelesen wird.",
    "Setzen Sie max_length auf eins, wie es innerHTML tut.",
    "Siehe E-Mail unten.",
]


@pytest.mark.parametrize(
    "line, expected",
    [
        ("Array.map() and (std::vector)", {"Array.map", "std::vector"}),
        ("max_len, innerHTML; __init__.py.", {"max_len", "innerHTML", "__init__.py"}),
        ("配列はArray.mapで読む", {"Array.map"}),
        ("The HTML of a plain sentence. Another one, with 3.5 or well-known words.", set()),
    ],
)
def test_an_identifier_has_an_inner_sign_or_an_inner_capital(line: str, expected: set) -> None:
    assert names.names(line) == expected


def test_those_of_source_and_reference_are_looked_for() -> None:
    assert names.carried(SOURCES, REFERENCES, TRANSLATIONS) == (4, 2)
    assert names.carried(SOURCES, [line.lower() for line in REFERENCES], TRANSLATIONS) == (2, 0)


def test_a_line_for_each_run_of_the_corpus(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    score = sacrebleu.BLEU().corpus_score(TRANSLATIONS, [REFERENCES]).score
    made = record("paper", (score / 2, score), 0.7)
    write_runs(tmp_path, [made])
    write_lines(tmp_path / "runs" / made["run"] / "test.hyp.txt", TRANSLATIONS)
    corpora = ["--corpora", str(tmp_path / "corpora")]
    with pytest.raises(UserError, match=r"test\.en; expected a prepared corpus: run `python -m"):
        names.main([str(tmp_path), *corpora])
    for lang, lines in (("en", SOURCES), ("de", REFERENCES)):
        write_lines(tmp_path / "corpora" / made["corpus"] / "text" / f"test.{lang}", lines)
    names.main([str(tmp_path), *corpora])
    assert capsys.readouterr().out.splitlines()[-1].split() == [made["run"], "4", "2", "0.500"]
    names.main([str(tmp_path), *corpora, "--corpus", "msdocs"])
    assert len(capsys.readouterr().out.splitlines()) == 1
    (tmp_path / "runs" / made["run"] / "test.hyp.txt").unlink()
    with pytest.raises(UserError, match="found no translations"):
        names.main([str(tmp_path), *corpora])
