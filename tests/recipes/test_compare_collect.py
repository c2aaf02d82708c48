"""Kept runs are what the report needs of them, and nothing more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recipes.compare.collect import collect, main
from recipes.compare.records import load
from tests.support.compare_records import record, write_runs


def runs(root: Path) -> Path:
    write_runs(root, [record(), record("paper", budget=0.7)])
    for folder in (root / "runs").iterdir():
        (folder / "test.hyp.txt").write_text("ein Hund\n", encoding="utf-8")
        np.save(folder / "counts.npy", np.array([0, 7, 300]))
        (folder / "model.pt").write_bytes(b"large")
    unfinished = root / "runs" / "multi30k.tiny.easy.b070.s1"
    unfinished.mkdir()
    (unfinished / "train.log").touch()
    return root


def test_the_records_are_the_same_and_only_what_is_needed_is_kept(tmp_path: Path, capsys) -> None:
    out, dest = runs(tmp_path / "out"), tmp_path / "results" / "first"
    (dest / "runs" / "older").mkdir(parents=True)
    main([str(out), str(dest)])
    assert capsys.readouterr().out.startswith(f"2 runs in {dest}: ")
    ours, theirs = ({r.run: r.end for r in load([folder])} for folder in (dest, out))
    assert ours == theirs and len(ours) == 2
    kept = sorted(str(path.relative_to(dest)) for path in dest.rglob("*") if path.is_file())
    files = [f"runs/{name}/{file}" for name in ours for file in ("counts.npy", "test.hyp.txt")]
    assert kept == sorted(["records.jsonl", *files])
    counts = np.load(dest / "runs" / next(iter(ours)) / "counts.npy")
    assert counts.dtype == np.uint16 and counts.tolist() == [0, 7, 300]


def test_nothing_finished_and_a_folder_of_training_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="has no finished run"):
        collect(tmp_path, tmp_path / "dest")
    assert not (tmp_path / "dest").exists()
    out = runs(tmp_path / "out")
    with pytest.raises(SystemExit, match="holds runs as they were trained"):
        collect(out, out)
    assert (out / "runs" / record()["run"] / "model.pt").is_file()
