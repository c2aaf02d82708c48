"""Packed runs: records, translations and counts, and no other files."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any, Sequence

import numpy as np
import pytest

from recipes.compare.collect import collect, main
from recipes.compare.packed import read_archive
from recipes.compare.records import load
from tests.support.compare_records import record, write_runs

FILES = {"records.jsonl.gz", "runs.tar.xz", "summary.csv"}


def runs(root: Path, made: Sequence[dict[str, Any]]) -> Path:
    """Write finished runs with files that the report does not need, and one unfinished run."""
    write_runs(root, made)
    for raw in made:
        folder = root / "runs" / raw["run"]
        (folder / "test.hyp.txt").write_text(f"ein Hund {raw['commit']}\n", encoding="utf-8")
        np.save(folder / "counts.npy", np.array([0, 7, 300], np.uint16))
        (folder / "model.pt").write_bytes(b"large")
    unfinished = root / "runs" / "multi30k.tiny.band.b070.s1"
    unfinished.mkdir(parents=True)
    (unfinished / "train.log").touch()
    return root


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_packing_keeps_the_records_and_only_the_needed_files(tmp_path: Path, capsys) -> None:
    made = [record(session="boot"), record("paper", budget=0.7, session="boot")]
    out, dest = runs(tmp_path / "out", made), tmp_path / "results"
    main([str(out), str(dest)])
    names = sorted(raw["run"] for raw in made)
    said = capsys.readouterr().out.splitlines()
    assert said[0] in [f"added in {dest}: {a}, {b}" for a, b in (names, names[::-1])]
    assert said[1] == f"replaced in {dest}: none"
    ours, theirs = ({r.run: (r.end, r.condition) for r in load([each])} for each in (dest, out))
    assert ours == theirs and len(ours) == 2
    assert set(content(dest)) == FILES
    members = read_archive(dest / "runs.tar.xz")
    ids = sorted((raw["run"], raw["updates"]) for raw in made)
    kept = [
        f"{name}/{updates}/cpu-A/{file}"
        for name, updates in ids
        for file in ("test.hyp.txt", "counts.npy")
    ]
    assert sorted(members) == sorted(kept)
    counts = np.load(io.BytesIO(members[kept[1]]))
    assert counts.dtype == np.uint16 and counts.tolist() == [0, 7, 300]
    rows = list(csv.DictReader((dest / "summary.csv").open()))
    assert [(row["run"], float(row["BLEU"])) for row in rows] == [(n, 30.0) for n in names]


def test_collecting_again_changes_nothing(tmp_path: Path) -> None:
    out, dest = runs(tmp_path / "out", [record(), record("paper")]), tmp_path / "results"
    collect(out, dest)
    before = content(dest)
    added, replaced = collect(out, dest)
    assert added == [] and len(replaced) == 2
    assert content(dest) == before


def test_a_repeated_run_replaces_the_older_one_and_all_others_stay(
    tmp_path: Path,
) -> None:
    dest = tmp_path / "results"
    longer = record(updates=5000, session="a")
    collect(runs(tmp_path / "first", [record(session="a"), record("paper", session="a")]), dest)
    collect(runs(tmp_path / "longer", [longer]), dest)
    gpu = record(session="b", device="gpu B")
    collect(runs(tmp_path / "second", [record(session="b", commit="new"), record("spl")]), dest)
    collect(runs(tmp_path / "third", [gpu]), dest)
    found = {(r.arm, r.device, r.updates): r for r in load([dest])}
    assert len(found) == 5
    assert {r.commit for r in found.values()} == {"aaaaaaa", "new"}
    anew = found["uniform", "cpu A", 1000]
    assert anew.commit == "new" and anew.files.read("test.hyp.txt") == b"ein Hund new\n"
    assert found["paper", "cpu A", 1000].files.read("test.hyp.txt") == b"ein Hund aaaaaaa\n"
    names = {name.rsplit("/", 1)[0] for name in read_archive(dest / "runs.tar.xz")}
    devices = {"cpu A": "cpu-A", "gpu B": "gpu-B"}
    assert names == {f"{r.run}/{r.updates}/{devices[r.device]}" for r in found.values()}


def test_no_finished_run_and_an_incomplete_record_are_refused(tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    with pytest.raises(SystemExit, match="has no finished run"):
        collect(tmp_path, dest)
    broken = {**record(), "marks": []}
    with pytest.raises(SystemExit, match="updates of marks is"):
        collect(runs(tmp_path / "out", [broken]), dest)
    assert not dest.exists()
