"""Benchmark of large corpora, run on a small one: it writes results and leaves no files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import pytest

from benchmarks import bench_scale_data
from tests.support.corpus import ROOT

TIMEOUT = 280


def bench(tmp_path, *words):
    """Run the benchmark with a folder of its own for temporary files, empty afterwards."""
    command = [sys.executable, "-m", "benchmarks.bench_scale", "--tiny", *map(str, words)]
    # not in tmp_path: names of sockets inside it would be too long
    with tempfile.TemporaryDirectory() as temporary:
        done = subprocess.run(
            [*command, "--output", str(tmp_path / "scale.json")],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": temporary},
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
        assert os.listdir(temporary) == []
    return done


@pytest.mark.timeout(TIMEOUT + 20)
@pytest.mark.parametrize(
    "names",
    [
        ("features", "plan", "sizes"),
        pytest.param(("start", "memory"), marks=pytest.mark.slow),
    ],
)
def test_results_have_the_promised_form_and_the_data_are_removed(names, tmp_path):
    done = bench(tmp_path, *names)
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((tmp_path / "scale.json").read_text())
    for result in results:
        assert list(result) == ["name", "value", "unit", "target", "met"]
        assert isinstance(result["value"], (int, float)) and np.isfinite(result["value"])
        assert (result["target"] is None) == (result["met"] is None)
        assert result["name"] in done.stdout
    assert len({result["name"] for result in results}) == len(results)
    targets = {"features": 2, "plan": 1, "sizes": 0, "start": 2, "memory": 2}
    assert sum(r["target"] is not None for r in results) == sum(targets[name] for name in names)


def test_kept_data_are_reused(tmp_path):
    kept = tmp_path / "kept"
    first = bench(tmp_path, "features", "--keep", kept)
    assert first.returncode == 0 and "generating" in first.stdout, first.stderr
    written = (kept / "train.en-de.en.bin").stat().st_mtime_ns
    second = bench(tmp_path, "plan", "--keep", kept)
    assert second.returncode == 0 and "generating" not in second.stdout, second.stderr
    assert (kept / "train.en-de.en.bin").stat().st_mtime_ns == written
    (kept / "generated").write_text("7")
    third = bench(tmp_path, "plan", "--keep", kept)
    assert third.returncode == 1 and "corpus of 7 pairs, expected 20000" in third.stderr


def test_an_unknown_benchmark_is_refused(tmp_path):
    done = bench(tmp_path, "speed")
    assert done.returncode == 2 and "there are: features" in done.stderr
    assert not (tmp_path / "scale.json").exists()


def test_generated_pairs_have_the_lengths_and_pieces_they_should(tmp_path):
    source, target = bench_scale_data.lengths(100_000)
    assert source.mean() == pytest.approx(29, abs=0.3) and target.mean() == pytest.approx(
        30, abs=0.3
    )
    assert min(source.min(), target.min()) >= 2 and max(source.max(), target.max()) <= 250
    bench_scale_data.write_corpus(tmp_path, 3000)
    from fairseq_autoassist.text.corpus import open_shard

    shard = open_shard(tmp_path, tmp_path, "train", *bench_scale_data.LANGUAGES)
    sizes = bench_scale_data.lengths(3000)
    for side, expected in zip((shard.source, shard.target), sizes):
        np.testing.assert_array_equal(side.sizes, expected)
        tokens, offsets = side.read(0, 3000)
        np.testing.assert_array_equal(np.flatnonzero(tokens == 2), offsets[1:] - 1)
        counts = np.bincount(tokens)
        # Zipf: the first piece comes twice as often as the second, ten times as often as the tenth
        assert counts[4] / counts[5] == pytest.approx(2, rel=0.15)
        assert counts[4] / counts[13] == pytest.approx(10, rel=0.2)
        assert len(counts) <= 32_004


def test_virtual_features_depend_on_the_id_alone():
    features = bench_scale_data.VirtualFeatures(2**40)
    ids = np.array([5, 2**33 + 1, 2**33 + 2, 5])
    rows = features.gather(ids).matrix
    weights = np.random.default_rng(0).standard_normal(features.dimensions).astype(np.float32)
    np.testing.assert_allclose(features.scores(ids, weights), rows @ weights, rtol=1e-6)
    scores = features.scores(ids, weights)
    assert scores[0] == scores[3] and len(set(scores.tolist())) == 3
