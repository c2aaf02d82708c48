"""Audit of the prior: tables by known labels and by form, of small corpora with a prior."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from preprocess.text import UserError
from recipes.crawl import audit

#: source, target, prior
PAIRS = [
    ("Array.map()", "Array.map()", 0.9),
    ("Array.map()", "Array.sort()", 0.1),
    ("Canvas", "Canvas", 0.7),
    ("Open Graph", "Open Graph", 0.5),
    ("Sets the text colour.", "Sets the text colour.", 0.2),
    ("It returns the number of the items.", "It returns the number of the items.", 0.01),
    ("See below.", "Siehe unten.", 0.8),
]


def corpus(root: Path, name: str) -> Path:
    """Folder of a corpus as `recipes.compare.prepare` leaves it, as far as the audit reads it."""
    folder = root / name
    features = folder / "data-bin" / "autoassist" / "train.en-de"
    features.mkdir(parents=True)
    (folder / "text").mkdir()
    for place, lang in enumerate(("en", "de")):
        lines = "".join(pair[place] + "\n" for pair in PAIRS)
        (folder / "text" / f"train.{lang}").write_text(lines, encoding="utf-8")
    np.array([pair[2] for pair in PAIRS], dtype="<f4").tofile(features / "prior")
    np.arange(len(PAIRS), dtype=np.uint8).tofile(features / "agreement.bins")
    (features / "agreement.json").write_text(json.dumps({"statistics": ["numbers"]}))
    return folder


def rows(text: str) -> dict[str, list[str]]:
    return {line[:27].strip(): line[27:].split() for line in text.splitlines()[1:]}


def test_copies_are_told_by_their_length_and_names_by_their_signs(tmp_path: Path) -> None:
    assert rows(audit.by_form(corpus(tmp_path, "mdn-de"))) == {
        "equal, one word": ["2", "0.800"],
        "equal, two or three words": ["1", "0.500"],
        "equal, four to six words": ["1", "0.200"],
        "equal, seven words or more": ["1", "0.010"],
        "two different names": ["1", "0.100"],
        "all others": ["1", "0.800"],
    }


def test_a_mix_is_audited_by_its_labels(tmp_path: Path) -> None:
    folder = corpus(tmp_path, "mix77")
    labels = ["okay", "misaligned", "okay", "okay", "copy", "copy", "okay"]
    (folder / "labels.txt").write_text("".join(label + "\n" for label in labels))
    told = audit.by_type(folder).splitlines()
    assert told[0].split() == ["AUC,", "okay", "against", "misaligned", "copy"]
    assert told[1].split() == ["prior", "1.0000", "1.0000"]
    assert "okay: 4 pairs, 0.725 of them kept by the prior" in told


def test_the_command_chooses_the_audit_by_the_corpus(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus(tmp_path, "mdn-de")
    labels = corpus(tmp_path, "mix77") / "labels.txt"
    labels.write_text("okay\n" * (len(PAIRS) - 1) + "copy\n")
    audit.main(["mdn-de", "mix77", "--corpora", str(tmp_path)])
    by_form, by_type = capsys.readouterr().out.split("== mix77")
    assert "two different names" in by_form and "AUC, okay against" in by_type


def test_a_corpus_without_agreement_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mdn-de").mkdir()
    with pytest.raises(UserError, match=r"recipes.compare.prepare mdn-de"):
        audit.main(["mdn-de", "--corpora", str(tmp_path)])
    with pytest.raises(UserError, match="found no corpus 'none'"):
        audit.main(["none"])
