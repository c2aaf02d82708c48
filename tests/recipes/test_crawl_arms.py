"""Arms of raw crawl in the runner: tiny models on a few hundred real pairs.

Half of the pairs are labelled copies and have a low prior.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fairseq_autoassist.text.binarized import BinarizedSide
from tests.support import compare
from tests.support.corpus import ROOT
from tests.support.priors import write_agreement

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
ARMS = ("oracle", "hard-filter", "prior", "default")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Output of one run by each arm; no test may change it."""
    out = tmp_path_factory.mktemp("crawl")
    corpus = out / "corpora" / "multi30k"
    shutil.copytree(compare.corpora() / "multi30k", corpus)
    pairs = len(BinarizedSide(corpus / "data-bin" / "train.en-de.de").sizes)
    okay = np.arange(pairs) % 2 == 0
    labels = "".join("okay\n" if each else "copy\n" for each in okay)
    (corpus / "labels.txt").write_text(labels, encoding="utf-8")
    beside = write_agreement(corpus / "data-bin", np.where(okay, 0.9, 0.001))
    about = json.loads((beside / "agreement.json").read_text())
    (beside / "agreement.json").write_text(json.dumps({**about, "power": 2}))
    account = json.loads((corpus / "pairs.json").read_text())
    account["features_s"] = {"tfidf": 1.5, "agreement": 2.0}
    (corpus / "pairs.json").write_text(json.dumps(account))
    names = [f"multi30k.tiny.{arm}.b100.s1.u20" for arm in ARMS]
    done = subprocess.run(
        [sys.executable, "-m", "recipes.compare.run", *names, "--jobs", "2", "--cpu"]
        + ["--out", str(out), "--corpora", str(corpus.parent)],
        cwd=ROOT,
        env=compare.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=800,
    )
    assert done.returncode == 0, done.stdout
    return out


@pytest.mark.parametrize("arm", ARMS)
def test_an_arm_trains_on_okay_pairs_and_skips_copies(finished: Path, arm: str) -> None:
    record = compare.record(finished, f"multi30k.tiny.{arm}.b100.s1.u20")
    labels, counts = record["labels"], np.load(finished / "runs" / record["run"] / "counts.npy")
    assert labels["okay"]["trained"] > 0
    assert counts[::2].sum() == labels["okay"]["trained"]
    assert counts[1::2].sum() == labels["copy"]["trained"]
    few = 0 if arm in ("oracle", "hard-filter") else 0.02 * labels["okay"]["trained"]
    assert labels["copy"]["trained"] <= few
    assert record["train"]["features_s"] == (0.0 if arm == "oracle" else 3.5)
    assert not (finished / "runs" / record["run"] / "data-bin").exists()
