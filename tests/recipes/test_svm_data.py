"""Data sets: originals of a checked shape, and stand-ins that are named so."""

from __future__ import annotations

import bz2
import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from preprocess.text import UserError
from recipes.linear_svm import data, originals

LINES = "+1 1:0.5 3:1\n-1 2:0.25\n"


def gzipped(path: Path, text: str) -> Path:
    with gzip.open(path, "wt", encoding="utf-8") as stream:
        stream.write(text)
    return path


def test_libsvm_files_become_problems_that_liblinear_takes(tmp_path: Path) -> None:
    x, y = data.read_svmlight(gzipped(tmp_path / "x.svm.gz", LINES))
    problem = data.as_problem("x", x, y, 0.1)
    assert problem.x.toarray().tolist() == [[0.5, 0.0, 1.0], [0.0, 0.25, 0.0]]
    assert problem.y.tolist() == [1.0, -1.0]
    assert problem.x.indices.dtype == problem.x.indptr.dtype == np.int32


def test_texts_become_unit_rows_of_words_and_bigrams(tmp_path: Path) -> None:
    texts = [("comp.graphics", "red green blue"), ("rec.autos", "green red")]
    lines = [json.dumps({"group": group, "text": text}) for group, text in texts]
    x, y = data.read_bigrams(gzipped(tmp_path / "x.jsonl.gz", "\n".join(lines)))
    assert x.shape == (2, 6)  # three words; red green, green blue, green red
    assert y.tolist() == [1.0, -1.0]
    np.testing.assert_allclose(np.linalg.norm(x.toarray(), axis=1), 1.0)


def test_an_original_of_another_shape_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.bz2"
    path.write_bytes(bz2.compress(LINES.encode()))
    monkeypatch.setitem(originals.ORIGINALS, "x", originals.Original("x", (2, 3)))
    assert originals.read("x", path)[0].shape == (2, 3)
    for shape in ((3, 3), (2, 2), (2, 4)):
        monkeypatch.setitem(originals.ORIGINALS, "x", originals.Original("x", shape))
        with pytest.raises(UserError, match="expected"):
            originals.read("x", path)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(UserError, match="no LIBSVM file"):
        originals.read("x", path)


def test_a_download_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(originals, "URL", (tmp_path / "nowhere").as_uri())
    assert originals.fetch("rcv1", tmp_path / "downloads") is None
    assert list((tmp_path / "downloads").iterdir()) == []


def test_a_downloaded_file_is_reused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "site").mkdir()
    source = tmp_path / "site" / "rcv1_train.binary.bz2"
    source.write_bytes(b"one")
    monkeypatch.setattr(originals, "URL", (tmp_path / "site").as_uri())
    path = originals.fetch("rcv1", tmp_path / "downloads")
    assert path is not None
    source.write_bytes(b"two")
    assert originals.fetch("rcv1", tmp_path / "downloads") == path
    assert path.read_bytes() == b"one"


def test_an_original_replaces_its_stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = gzipped(tmp_path / "x.svm.gz", LINES)
    texts = gzipped(tmp_path / "x.jsonl.gz", json.dumps({"group": "sci.med", "text": "a bc de"}))
    paths = {file: texts if "jsonl" in file else text for file in data.TITLES}
    monkeypatch.setattr(data, "find", lambda *_: paths)
    monkeypatch.setattr(data, "local_folder", lambda *_: tmp_path)
    monkeypatch.setattr(data.originals, "read", lambda *_: data.read_svmlight(text))
    monkeypatch.setattr(data.originals, "fetch", lambda name, _: text if name == "rcv1" else None)
    online = [problem.name for problem in data.problems(tmp_path)]
    offline = [problem.name for problem in data.problems(tmp_path, online=False)]
    assert online[0] == "rcv1" and offline == list(data.TITLES.values())
    assert online[1:] == offline[1:]
    assert all("stand-in" in name for name in offline)
