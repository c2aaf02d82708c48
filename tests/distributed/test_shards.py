"""Sharded data-bins: each keeps its position, and one Assistant learns from all."""

import shutil

import pytest

from fairseq_autoassist.cli.tfidf import main as build_features
from tests.support.corpus import make_data_bin, multi30k_pairs
from tests.support.training import PLUGIN, SHRINK, find, train

pytestmark = pytest.mark.timeout(120)
LANGUAGES = ["--source-lang", "en", "--target-lang", "de", "--disable-validation"]


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    first = make_data_bin(folder / "a", multi30k_pairs("train", 150), multi30k_pairs("val", 10))
    dicts = [
        f"--{side}dict={first / f'dict.{lang}.txt'}"
        for side, lang in (("src", "en"), ("tgt", "de"))
    ]
    pairs = multi30k_pairs("train", 100, start=500)
    second = make_data_bin(folder / "b", pairs, multi30k_pairs("val", 10), *dicts)
    assert build_features([f"{first}:{second}", "-s", "en", "-t", "de"]) == 0
    return f"{first}:{second}"


@pytest.mark.parametrize(
    "planning",
    [
        SHRINK,
        [*SHRINK, "--autoassist-inline"],
        ["--autoassist-strategy", "infobatch"],  # remembers losses by shard
    ],
)
def test_a_run_resumes_in_the_middle_of_the_second_shard(shards, tmp_path, planning):
    words = [*PLUGIN, *LANGUAGES, "--save-interval-updates", 1, *planning]
    whole = train(shards, tmp_path / "a", *words, "--max-epoch", 6).ok()
    epochs = [int(update["epoch"]) for update in whole.updates]
    assert max(epochs) == 6
    # the ids tell the shards apart: the first one has 150 pairs, the second 100
    by_epoch = {e: [i for i, x in enumerate(epochs) if x == e] for e in set(epochs)}
    for epoch, steps in by_epoch.items():
        most = max(i for step in steps for i in whole.ids()[step])
        assert most < (150 if epoch % 2 else 100)
    step = by_epoch[4][len(by_epoch[4]) // 2]  # in the middle of shard 2 of epoch 4
    (saved,) = (tmp_path / "a").glob(f"checkpoint_4_{step}.pt")
    words += ["--restore-file", saved, "--max-epoch", 6, "--no-save"]
    resumed = train(shards, tmp_path / "b", *words).ok()
    assert resumed.ids() == whole.ids()[step:]
    assert resumed.losses() == whole.losses()[step:]


def test_the_assistant_goes_on_from_shard_to_shard(shards, tmp_path):
    words = [*PLUGIN, *SHRINK, *LANGUAGES, "--max-epoch", 6, "--no-save"]
    result = train(shards, tmp_path, *words).ok()
    totals = [float(update["aa_considered"]) for update in result.updates]
    assert totals == sorted(totals)  # counted over the run, not over a shard
    assert float(result.updates[-1]["aa_gamma"]) > 0.3


def test_features_of_shards_must_belong_together(shards, tmp_path):
    copies = []
    for path in shards.split(":"):
        copies.append(tmp_path / path.rsplit("/", 1)[1])
        shutil.copytree(path, copies[-1])
    assert build_features([str(copies[1]), "--force"]) == 0  # alone: other document frequencies
    data = ":".join(map(str, copies))
    result = train(data, tmp_path / "ck", *PLUGIN, *LANGUAGES, "--max-update", 2)
    assert result.status != 0
    assert find(result, "different document frequencies")
    assert find(result, f"autoassist-tfidf {data} --source-lang en --target-lang de --force")


def test_a_data_bin_listed_twice_comes_in_another_order(tmp_path):
    data = make_data_bin(tmp_path / "a", multi30k_pairs("train", 150), multi30k_pairs("val", 10))
    assert build_features([f"{data}:{data}", "-s", "en", "-t", "de"]) == 0
    words = [*PLUGIN, *LANGUAGES, "--max-epoch", 2, "--no-save", "--autoassist-floor", 1]
    result = train(f"{data}:{data}", tmp_path / "save", *words).ok()
    first, second = (
        [i for u, batch in zip(result.updates, result.ids()) if int(u["epoch"]) == e for i in batch]
        for e in (1, 2)
    )
    for ids in (first, second):  # in the stream of each no pair comes twice
        assert 100 < len(set(ids)) == len(ids)
    assert first[:40] != second[:40]
