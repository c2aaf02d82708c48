"""Records: reading, refusal in one line, comparable sections, and remarks."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from recipes.compare.packed import key_of, write
from recipes.compare.records import load, parse
from recipes.compare.remarks import remarks
from recipes.compare.sections import Section, sections
from recipes.compare.statistics import time_ratio
from tests.support.compare_records import record, write_runs

MARKS = record()["marks"]


def grouped(*made: dict[str, Any]) -> list[Section]:
    return sections([parse(raw, Path("runs") / raw["run"], raw["run"]) for raw in made])


def packed(folder: Path, *made: dict[str, Any]) -> Path:
    """Write records as `recipes.compare.collect` does, each with a translation."""
    write(folder, made, {f"{key_of(raw)}/test.hyp.txt": raw["run"].encode() for raw in made})
    return folder


def test_a_folder_of_runs_and_packed_runs_give_the_same_records(tmp_path: Path) -> None:
    made = [record(), record("paper", budget=0.7, curve=[{"update": 1, "acc": float("nan")}])]
    kept = packed(tmp_path / "kept", *made)
    root = write_runs(tmp_path / "out", made)
    assert sorted(r.run for r in load([kept])) == sorted(r.run for r in load([root]))
    both = load([kept, kept / "records.jsonl.gz", root])
    assert sorted(r.run for r in both) == sorted(m["run"] for m in made)
    for found in load([kept]):
        assert found.files.read("test.hyp.txt") == found.run.encode()
        assert found.files.read("counts.npy") is None
    (root / "runs" / made[0]["run"] / "test.hyp.txt").write_text("as trained")
    assert load([root])[-1].files.read("test.hyp.txt") == b"as trained"


def test_times_are_comparable_within_the_session_that_a_record_names(tmp_path: Path) -> None:
    # Two machines of one kind differ in speed, so no ratio of times crosses sessions.
    made = [record(session="first"), record("paper", session="second", seconds=9.0)]
    made += [record(seed=2, session="b"), record("paper", seed=2, session="b")]
    (section,) = sections(load([packed(tmp_path, *made)]))
    (paper,) = [cell for cell in section.cells if cell.arm == "paper"]
    assert section.baseline is not None
    assert time_ratio(paper, section.baseline) == 1.0


def test_a_bad_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl.gz"
    path.write_bytes(gzip.compress(f"{json.dumps(record())}\n{{cut sho\n".encode()))
    with pytest.raises(SystemExit, match=r"records\.jsonl\.gz:2 is not JSON .*expected one record"):
        load([path])


def test_a_file_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    folder = packed(tmp_path, record(), record("paper"))
    archive, records = folder / "runs.tar.xz", folder / "records.jsonl.gz"
    found = load([folder])
    archive.write_bytes(archive.read_bytes()[:-40])
    with pytest.raises(SystemExit, match=r"runs\.tar\.xz is no whole archive .*from git again"):
        found[0].files.read("test.hyp.txt")
    for content in (records.read_bytes()[:-40], b"no gzip"):
        records.write_bytes(content)
        with pytest.raises(SystemExit, match=r"records\.jsonl\.gz cannot be read .*from git again"):
            load([folder])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"marks": []}, "updates of marks is .*expected at least one"),
        ({"marks": [{"update": 1}]}, r"marks\[0\] lacks tokens, wall_s"),
        ({"train": {"tokens": "many"}}, "train lacks padded_tokens"),
        ({"seed": "1"}, "seed is '1'; expected a whole number"),
        ({"device": None}, "device is None; expected text"),
        ({"budget": -1, "marks": MARKS}, "budget is -1.0; expected a share above 0"),
        ({"settings": ["--lr"]}, "settings is .*expected an object"),
        ({"labels": {"good": {"pairs": 1}}}, "labels.good lacks trained, considered"),
        ({"curve": [{"update": "x"}]}, r"curve\[0\].update is 'x'; expected a number"),
    ],
)
def test_a_wrong_record_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SystemExit, match=f"here: .*{message}.*recipes.compare.run"):
        parse({**record(), **changes}, Path(), "here")


def test_a_missing_key_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    raw = record()
    del raw["jobs"]
    with pytest.raises(SystemExit, match="lacks jobs"):
        parse(raw, Path(), "here")
    with pytest.raises(SystemExit, match=r"holds neither records\.jsonl\.gz nor record\.json"):
        load([tmp_path])
    with pytest.raises(SystemExit, match="found no file"):
        load([tmp_path / "none.json"])


def test_a_loss_that_diverged_is_read_as_nan() -> None:
    raw = record()
    raw["marks"][-1]["valid_loss"] = None
    assert str(parse(raw, Path(), "here").end["valid_loss"]) == "nan"


def test_runs_are_grouped_into_sections_and_cells() -> None:
    found = grouped(
        record("paper", budget=0.7, seed=2),
        record("paper", budget=0.7, seed=1),
        record("random", budget=0.7),
        record(),
        record(architecture="lstm"),
        record(corpus="tatoeba"),
        record(budget=0.123, updates=124),  # 12.3% of 1,000 updates, rounded up
        record("paper", updates=5000),  # the full budget of a longer run
    )
    assert [s.title for s in found] == [
        "multi30k, lstm, 1,000 updates",
        "multi30k, transformer, 1,000 updates",
        "multi30k, transformer, 5,000 updates",
        "tatoeba, transformer, 1,000 updates",
    ]
    cells = [(c.name, c.seeds) for c in found[1].cells]
    assert cells == [
        ("uniform 1.00", [1]),
        ("uniform 0.12", [1]),
        ("random 0.70", [1]),
        ("paper 0.70", [1, 2]),
    ]
    assert found[1].baseline is found[1].cells[0]
    assert found[2].baseline is None


@pytest.mark.parametrize(
    "share, budget",
    [(1.0, 0.7), (1.005, 0.7), (0.957, 0.67), (0.965, 0.67), (1.043, 0.67), (1.065, 0.75)],
)
def test_random_with_as_many_tokens_is_the_control(share: float, budget: float) -> None:
    """Random at budget 0.70 has 70,000 tokens; the arm at 0.67 has `share` times as many."""

    def run(arm: str, budget: float, tokens: float) -> dict[str, Any]:
        made = record(arm, budget=budget)
        return {**made, "train": {**made["train"], "tokens": tokens}}

    controls = [run("random", 0.67, 67e3), run("random", 0.7, 70e3), run("random", 0.75, 75e3)]
    made = run("paper", 0.67, 70e3 * share)
    (section,) = grouped(record(), *controls, made)
    (cell,) = [c for c in section.cells if c.arm == "paper"]
    control = section.control(cell)
    assert control is not None and control.name == f"random {budget:.2f}"
    said = "random to paper 0.67 is random {:.2f}: it has as many tokens"
    assert (said.format(budget) in remarks(section)) == (budget != 0.67)


def test_two_records_of_a_run_are_refused_within_one_device() -> None:
    with pytest.raises(SystemExit, match=r"two records of multi30k.*commit aaaaaaa.*commit bbb"):
        grouped(record(), record(commit="bbb"))
    found = grouped(record(), record(device="gpu B"), record("paper", device="gpu B"))
    assert [(s.device, len(s.cells)) for s in found] == [("cpu A", 1), ("gpu B", 2)]


def test_scores_of_two_signatures_are_refused() -> None:
    other = record("paper", signatures={"BLEU": "tok:intl"})
    with pytest.raises(SystemExit, match="another signature of BLEU; expected the same"):
        grouped(record(), other)


@pytest.mark.parametrize(
    "changes", [{"sha256": {"train.en": "b"}}, {"beam": 1}, {"lenpen": 0.2}, {"max_len": [2, 0]}]
)
def test_other_data_and_other_decoding_are_refused(changes: dict[str, Any]) -> None:
    alike = {"flags": [], "sha256": {"train.en": "a"}, "beam": 5, "lenpen": 1.0, "max_len": [1, 2]}
    older = record("spl")  # names no settings
    same = [record(arm, settings=alike) for arm in ("uniform", "random")]
    assert len(grouped(*same, older)[0].cells) == 3
    other = record("paper", settings={**alike, **changes})
    with pytest.raises(SystemExit, match=f"another {next(iter(changes))}; expected the same"):
        grouped(*same, older, other)


def test_a_complete_section_has_no_remarks() -> None:
    arms = ["uniform", "random", "paper"]
    assert remarks(grouped(*(record(arm, seed=s) for arm in arms for s in (1, 2)))[0]) == []


def test_remarks_say_what_is_missing() -> None:
    paper = [record("paper", budget=0.7, seed=s) for s in (1, 3)]
    found = remarks(grouped(record(), record(seed=2), record("random", budget=0.7), *paper)[0])
    assert found == [
        "random 0.70 has seeds 1, uniform 1.00 has 1, 2: their difference is over 1",
        "paper 0.70 has seeds 1, 3, uniform 1.00 has 1, 2: their difference is over 1",
        "paper 0.70 has seeds 1, 3, random 0.70 has 1: their difference is over 1",
    ]
    assert remarks(grouped(record("paper"))[0])[0].startswith("no run of uniform 1.00")


def test_remarks_say_where_settings_differ() -> None:
    def with_flags(arm: str, seed: int, *words: str) -> dict[str, Any]:
        return record(arm, seed=seed, settings={"flags": ["--seed", str(seed), *words]})

    lr = ["--lr", "1"]
    same = [with_flags("paper", s, *lr, "--autoassist-floor", "0") for s in (1, 2)]
    plain = [with_flags(arm, s, *lr) for arm in ("uniform", "random") for s in (1, 2)]
    assert remarks(grouped(*same, *plain)[0]) == []
    other = with_flags("paper", 3, *lr, "--autoassist-floor", "0.5")
    assert (
        "paper 1.00 is of runs with different flags: --autoassist-floor 0; --autoassist-floor 0.5"
        in remarks(grouped(*same, other, *plain)[0])
    )
    slower = with_flags("uniform", 3, "--lr", "2")
    (found,) = [n for n in remarks(grouped(*same, *plain, slower)[0]) if "more than the arm" in n]
    assert slower["run"] in found


def test_remarks_compare_all_flags_but_the_length_across_budgets() -> None:
    def run(arm: str, budget: float, updates: int, dropout: str) -> dict[str, Any]:
        words = ["--max-update", str(updates), "--dropout", dropout]
        return record(arm, budget=budget, settings={"flags": words})

    def said(*made: dict[str, Any]) -> list[str]:
        return [n for n in remarks(grouped(*made)[0]) if "more than the arm" in n]

    whole, short = run("uniform", 1.0, 1000, "0.1"), run("paper", 0.7, 700, "0.1")
    assert said(whole, short, run("random", 0.7, 700, "0.1")) == []
    assert len(said(whole, run("paper", 0.7, 700, "0.3"))) == 1
    assert len(said(whole, short, run("random", 0.7, 900, "0.1"))) == 1  # another length
