"""Runner on the `smoke` matrix: real training of tiny models on a few hundred real pairs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Iterator

import numpy as np
import pytest

from fairseq_autoassist.core import trace
from preprocess.spm import decode
from preprocess.text import UserError, read_lines
from recipes.common.score import hypotheses
from recipes.compare.matrices import run_of
from recipes.compare.measure import generate_words
from recipes.compare.one_run import settings_key
from recipes.compare.records import load
from recipes.compare.settings import GENERATE_TOKENS
from tests.support import compare, training
from tests.support.processes import alive, children, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
UNIFORM, PAPER = "multi30k.tiny.uniform.b100.s1", "multi30k.tiny.paper.b100.s1"
SECONDS = 120.0  # limit of each wait, on a busy machine


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Output of the matrix without interruption; no test may change it."""
    out = tmp_path_factory.mktemp("compare")
    done = compare.run(out, "smoke", "--jobs", 2)
    assert done.returncode == 0, done.stdout
    return out


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[subprocess.Popen]:
    """Process that makes the runs of the matrix, one after another, in tmp_path."""
    process = compare.start(tmp_path, "smoke")
    below: list[int] = []
    process.below = below  # type: ignore[attr-defined]
    try:
        yield process
    finally:
        for pid in {*below, *children(process.pid)}:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
        process.kill()
        process.communicate()


def test_records_hold_what_the_logs_and_traces_hold(finished: Path) -> None:
    assert sorted(record.run for record in load([finished])) == [PAPER, UNIFORM]
    for name in (UNIFORM, PAPER):
        folder, record = finished / "runs" / name, compare.record(finished, name)
        marks = record["marks"]
        assert [mark["update"] for mark in marks] == [60, 120] and record["updates"] == 120
        assert marks[0]["valid_loss"] > marks[1]["valid_loss"] > 0
        assert 0 < marks[0]["wall_s"] < marks[1]["wall_s"] == record["train"]["wall_s"]
        assert 0 < marks[0]["cpu_s"] < marks[1]["cpu_s"] == record["train"]["cpu_s"]
        assert 0 < marks[0]["padded_tokens"] < marks[1]["padded_tokens"]
        # fairseq logs a mean for each update, rounded to one digit.
        reports = [json.loads(line) for line in read_lines(folder / "train.log") if line[0] == "{"]
        means = [float(report["wpb"]) for report in reports if "wpb" in report]
        assert len(means) == 120, "expected one report for each update"
        tokens = sum(means)
        assert record["train"]["tokens"] == marks[-1]["tokens"] == pytest.approx(tokens, abs=0.5)
        counts = np.load(folder / "counts.npy")
        assert counts.sum() == record["train"]["pairs"] == len(trace.read(folder / "trace"))
        assert record["curve"][-1]["update"] == 120 and record["curve"][-1]["train_loss"] > 0
        assert record["commit"] == "of the test" and record["jobs"] == 2
        assert not (folder / "marks").exists()
        small = ("record.json", "test.hyp.txt", "counts.npy")
        assert sum((folder / file).stat().st_size for file in small) < 1_000_000


def test_a_killed_run_resumes_with_the_same_batches_and_losses(
    finished: Path, tmp_path: Path, runner: subprocess.Popen
) -> None:
    folder = tmp_path / "runs" / UNIFORM
    wait_for(lambda: (folder / "marks" / "60.pt").exists(), SECONDS, "the first mark")
    runner.below.extend(children(runner.pid))  # type: ignore[attr-defined]
    os.kill(runner.pid, signal.SIGKILL)
    for pid in runner.below:  # type: ignore[attr-defined]
        wait_for(lambda pid=pid: not alive(pid), SECONDS, "the orphaned run to end")
    assert not (folder / "record.json").exists()
    assert not (folder / "marks" / "120.pt").exists(), "the run was killed after its last mark"

    done = compare.run(tmp_path, "smoke", "--jobs", 2)
    assert done.returncode == 0, done.stdout
    assert "60.pt" in (folder / "output").read_text(encoding="utf-8").split("Loaded checkpoint")[1]
    for name in (UNIFORM, PAPER):
        left, right = (trace.read(out / "runs" / name / "trace") for out in (finished, tmp_path))
        assert np.array_equal(left, right)
        ours, theirs = (compare.record(out, name)["marks"] for out in (finished, tmp_path))
        for key in ("update", "tokens", "padded_tokens", "valid_loss", "slice_loss", "chrF2"):
            assert [mark[key] for mark in ours] == [mark[key] for mark in theirs], key
    again = compare.run(tmp_path, "smoke")
    assert again.returncode == 0 and "2 runs, 2 of them finished" in again.stdout
    assert "begun" not in again.stdout


def test_ctrl_c_leaves_no_process(tmp_path: Path, runner: subprocess.Popen) -> None:
    trained = tmp_path / "runs" / UNIFORM / "trace"
    wait_for(trained.exists, SECONDS, "training to begin")
    runner.below.extend(children(runner.pid))  # type: ignore[attr-defined]
    os.kill(runner.pid, signal.SIGINT)
    output, _ = runner.communicate(timeout=SECONDS)
    assert runner.returncode == 130
    assert "resumes from here" in output
    assert not any(alive(pid) for pid in runner.below)  # type: ignore[attr-defined]


def test_a_failed_run_is_reported_and_the_others_finish(finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished, out)
    for name in (UNIFORM, PAPER):
        (out / "runs" / name / "record.json").unlink()
        (out / "runs" / name / "train.log").unlink()
        (out / "runs" / name / "marks").mkdir()
    broken = out / "runs" / UNIFORM / "marks"
    (broken / "60.pt").write_bytes(b"no checkpoint")
    (broken / "60.json").write_text('{"update": 60, "wall_s": 1, "cpu_s": 1, "saving_s": 0}')
    done = compare.run(out, "smoke")
    assert done.returncode == 1
    assert f"FAILED {UNIFORM} (status 1)" in done.stdout and f"failed: {UNIFORM}" in done.stdout
    assert compare.record(out, PAPER)["marks"]


def test_scores_equal_those_of_the_commands_of_fairseq_and_sacrebleu(
    finished: Path, tmp_path: Path
) -> None:
    corpus, folder = compare.corpora() / "multi30k", finished / "runs" / PAPER
    end = compare.record(finished, PAPER)["marks"][-1]
    common = [corpus / "data-bin", "--user-dir", training.USER_DIR, "--cpu", "--num-workers", "0"]
    # With its default, 8, fairseq drops the pairs beyond a multiple of 8 from the last batch.
    common += ["--required-batch-size-multiple", "1"]
    model = ["--path", folder / "model.pt"]
    # A batch's longest source limits all its translations, so the batches have to be equal.
    words = [*common, *model, *generate_words(), "--gen-subset", "test"]
    words += ["--max-tokens", GENERATE_TOKENS]
    output = training.run("fairseq_cli.generate", *words).ok().output
    (tmp_path / "generate.txt").write_text(output, encoding="utf-8")
    references = corpus / "text" / "test.de"
    expected = decode(corpus / "spm.model", hypotheses(tmp_path / "generate.txt", 30))
    assert list(read_lines(folder / "test.hyp.txt")) == expected
    metrics = ["-m", "bleu", "chrf", "-w", "6", "-f", "json"]
    scored = subprocess.run(
        [sys.executable, "-m", "sacrebleu", references, "-i", folder / "test.hyp.txt", *metrics],
        check=True,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    bleu, chrf = json.loads(scored.stdout)
    assert end["BLEU"] == pytest.approx(bleu["score"], abs=1e-5)
    assert end["chrF2"] == pytest.approx(chrf["score"], abs=1e-5)
    assert bleu["signature"] == compare.record(finished, PAPER)["signatures"]["BLEU"]
    for subset in ("valid", "slice"):
        words = [*common, *model, "--valid-subset", subset, "--max-tokens", "500"]
        words += ["--task", "translation_autoassist", "--log-format", "json"]
        output = training.run("fairseq_cli.validate", *words).ok().output
        losses = [line for line in output.splitlines() if f'"{subset}_nll_loss"' in line]
        bits = float(json.loads(losses[-1][losses[-1].index("{") :])[f"{subset}_nll_loss"])
        assert end[f"{subset}_loss"] == pytest.approx(bits * np.log(2), abs=1e-3)


@pytest.mark.parametrize("name", ["pairs.json", "text"])
def test_preparing_again_restores_a_missing_part(tmp_path: Path, name: str) -> None:
    corpus = shutil.copytree(compare.corpora() / "multi30k", tmp_path / "multi30k")
    before = settings_key(run_of(PAPER), corpus)
    shutil.rmtree(corpus / name) if name == "text" else (corpus / name).unlink()
    compare.prepare(corpus)
    assert settings_key(run_of(PAPER), corpus) == before
    account = json.loads((corpus / "pairs.json").read_text())
    (corpus / "pairs.json").write_text(json.dumps({**account, "sha256": {}}))  # unfinished
    with pytest.raises(UserError, match="is no prepared corpus.*recipes.compare.prepare"):
        settings_key(run_of(PAPER), corpus)


def test_an_unprepared_corpus_is_refused(tmp_path: Path) -> None:
    command = compare.command(tmp_path, "noisy.tiny.uniform.b100.s1")
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=SECONDS, cwd=compare.ROOT
    )
    assert done.returncode == 1
    assert "is no prepared corpus" in done.stderr and "recipes.compare.prepare noisy" in done.stderr
