"""Real runs over several ranks: disjoint slices of one stream, exact resume, another world size."""

from collections import Counter

import numpy as np
import pytest

from tests.e2e.test_strategies import of_made_updates, traced, trained
from tests.support.checkpoints import checkpoint_state
from tests.support.ranks import train_ranks
from tests.support.recording import OVERFLOW_EVERY
from tests.support.training import (
    PLUGIN,
    SHRINK,
    data_bin,
    find,
    one_after_another,
    train,
)

pytestmark = pytest.mark.timeout(200)
QUIET = ["--disable-validation", "--no-save"]
UNIFORM = ["--autoassist-strategy", "uniform"]


def flat(lists):
    return [item for items in lists for item in items]


def ids(runs):
    return [run.ids() for run in runs]


def losses(runs):
    return [run.losses() for run in runs]


def test_a_pass_is_dealt_out_and_all_ranks_do_the_same_updates(tmp_path):
    words = [*PLUGIN, *UNIFORM, *QUIET, "--max-epoch", 4, "--update-freq", 2]
    runs = train_ranks(2, data_bin(), tmp_path, *words)
    assert len(runs[0].batches) == len(runs[1].batches) > 40
    assert all(one_after_another(run) for run in runs)  # a dummy batch has no number
    counts = np.bincount(flat(flat(ids(runs))), minlength=400)
    passes = float(runs[0].updates[-1]["aa_pass"])
    assert counts.max() <= np.ceil(passes) and counts.min() >= np.floor(passes) - 1
    # in the first pass, no pair comes up on both ranks
    first = [set(flat(run.ids()[:10])) for run in runs]
    assert not first[0] & first[1] and first[0] and first[1]


def test_resume_is_exact_by_rank_and_in_order(tmp_path):
    words = [*PLUGIN, *SHRINK, "--save-interval-updates", 15, "--max-update", 50]
    whole = train_ranks(2, data_bin(), tmp_path / "a", *words)
    assert float(whole[0].updates[-1]["aa_saved"]) > 0.05
    assert ids(whole)[0] != ids(whole)[1]
    saved = list((tmp_path / "a").glob("checkpoint_*_45.pt"))
    saved += list((tmp_path / "a").glob("checkpoint_*_30.pt"))
    assert saved
    step = int(saved[0].stem.rsplit("_", 1)[1])
    resumed = train_ranks(2, data_bin(), tmp_path / "b", *words, "--restore-file", saved[0])
    assert ids(resumed) == [run[step:] for run in ids(whole)]
    assert losses(resumed) == [run[step:] for run in losses(whole)]
    # the loss curve that fairseq logs, over both ranks
    curves = [[float(u["loss"]) for u in r[0].updates] for r in (whole, resumed)]
    np.testing.assert_allclose(curves[1], curves[0][step:], atol=1e-4)
    # negative control: without the state it is another run
    reset = ["--restore-file", saved[0], "--reset-dataloader"]
    other = train_ranks(2, data_bin(), tmp_path / "c", *words, *reset)
    assert ids(other)[0] != ids(resumed)[0]


def test_a_run_is_resized_up_and_down_without_losing_a_pair(tmp_path):
    words = [*PLUGIN, *UNIFORM, "--disable-validation"]
    stages = []
    for count, updates in ((1, 20), (2, 35), (1, 60)):
        stage = [*words, "--max-update", updates]
        if count == 1:
            stages.append([train(data_bin(), tmp_path, *stage).ok()])
        else:
            stages.append(train_ranks(count, data_bin(), tmp_path, *stage))
    line = find(stages[1][0], "resumed over 2 ranks, saved by 1")
    assert line and line.endswith(", 0 reports are not learned from")
    assert find(stages[2][0], "resumed over 1 ranks, saved by 2")
    trained = Counter(flat(flat(flat(ids(runs) for runs in stages))))
    state = checkpoint_state(tmp_path / "checkpoint_last.pt")["extra_state"]["train_iterator"]
    planner = state["autoassist"]["ranks"][0]["tree"]["shards"][0]["exchange"]["planner"]
    whole = planner["stream"]["position"][0]
    assert whole >= 1
    assert max(trained.values()) <= whole + 1 and len(trained) == 400
    # some of the pairs considered are not trained on yet
    assert planner["totals"][0] >= sum(trained.values())


def test_resizing_is_deterministic_and_carries_the_assistants_on(tmp_path):
    words = [*PLUGIN, *SHRINK, "--disable-validation"]
    train_ranks(2, data_bin(), tmp_path / "a", *words, "--max-update", 40)
    saved = tmp_path / "a" / "checkpoint_last.pt"
    go_on = [*words, "--restore-file", saved, "--max-update", 55, "--no-save"]
    one, two = (train(data_bin(), tmp_path / name, *go_on).ok() for name in "bc")
    assert one.ids() == two.ids() and one.losses() == two.losses() and len(one.ids()) == 15
    assert float(one.updates[0]["aa_gamma"]) > 0.3  # it did not begin again


def test_early_stopping_ends_all_ranks_at_the_same_update(tmp_path):
    words = [*PLUGIN, *SHRINK, "--num-workers", 1]
    words += ["--validate-interval-updates", 7, "--save-interval-updates", 7, "--patience", 2]
    # a learning rate that cannot improve anything, so that patience ends
    runs = train_ranks(2, data_bin(), tmp_path, *words, "--lr", 1e-12, "--max-update", 100)
    assert len(runs[0].batches) == len(runs[1].batches) < 100
    assert find(runs[0], "early stop")
    assert all(one_after_another(run) for run in runs)
    assert (tmp_path / "checkpoint_last.pt").exists()


def test_pytorch_ddp_makes_the_same_batches_and_losses(tmp_path):
    words = [*PLUGIN, *SHRINK, *QUIET, "--max-update", 40, "--update-freq", 2]
    legacy = train_ranks(2, data_bin(), tmp_path, *words)
    torchs = train_ranks(2, data_bin(), tmp_path, *words, "--ddp-backend", "pytorch_ddp")
    assert ids(torchs)[0][:20] == ids(legacy)[0][:20] and len(torchs[0].batches) == 80
    np.testing.assert_allclose(losses(torchs)[0][:20], losses(legacy)[0][:20], rtol=1e-3)


@pytest.mark.slow
def test_traces_of_all_ranks_leave_out_updates_that_were_discarded(tmp_path, monkeypatch):
    monkeypatch.setenv(OVERFLOW_EVERY, "4")
    words = [*PLUGIN, *SHRINK, *QUIET, "--update-freq", 2, "--max-update", 12]
    runs = train_ranks(2, data_bin(), tmp_path, *words, "--autoassist-trace", tmp_path / "trace")
    for rank, run in enumerate(runs):
        made = of_made_updates(run, 2)
        assert len(made) == 24 < len(run.batches)
        assert traced(tmp_path / "trace", rank) == trained(made)


@pytest.mark.slow
def test_a_run_is_resized_to_four_ranks_and_to_three(tmp_path):
    words = [*PLUGIN, *UNIFORM, "--disable-validation", "--save-interval-updates", 11]
    train_ranks(2, data_bin(), tmp_path, *words, "--max-update", 10)
    four = train_ranks(4, data_bin(), tmp_path, *words, "--max-update", 30)
    assert {len(run.batches) for run in four} == {20}
    (saved,) = tmp_path.glob("checkpoint_*_22.pt")
    exact = ["--restore-file", saved, "--max-update", 30, "--no-save"]
    assert ids(train_ranks(4, data_bin(), tmp_path / "b", *words, *exact)) == [
        run[12:] for run in ids(four)
    ]
    three = train_ranks(3, data_bin(), tmp_path, *words, "--max-update", 45)
    assert {len(run.batches) for run in three} == {15}
    assert find(three[0], "resumed over 3 ranks, saved by 4")


def test_fully_sharded_trains(tmp_path):
    pytest.importorskip("fairscale", reason="fairseq's fully_sharded needs fairscale")
    words = [*PLUGIN, *SHRINK, "--ddp-backend", "fully_sharded", "--max-update", 10]
    assert len(train_ranks(2, data_bin(), tmp_path, *words)[0].batches) == 10
