"""Real training runs: batches, resume, other architectures, fairseq's other tools."""

import shutil

import numpy as np
import pytest

from fairseq_autoassist.core.worker.client import lag_for
from tests.support.checkpoints import checkpoint_state, checkpoint_weights
from tests.support.training import (
    PLUGIN,
    ROOT,
    SHRINK,
    STOCK,
    copy_data_bin,
    data_bin,
    find,
    one_after_another,
    run,
    train,
)

pytestmark = pytest.mark.timeout(280)
QUIET = ["--disable-validation", "--no-save"]


def flat(lists):
    return [item for items in lists for item in items]


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Run with shrinking that plans in a process, without loader workers."""
    words = [*PLUGIN, *SHRINK, "--max-update", 70, *QUIET]
    result = train(data_bin(), tmp_path_factory.mktemp("reference"), *words).ok()
    assert float(result.updates[-1]["aa_saved"]) > 0.05  # it did shrink
    assert one_after_another(result)
    return result


@pytest.mark.parametrize(
    "extra",
    [
        ["--autoassist-inline"],
        ["--num-workers", 1, "--data-buffer-size", 10],
        ["--num-workers", 1, "--data-buffer-size", 10, "--autoassist-inline"],
        ["--num-workers", 4],
        ["--num-workers", 4, "--autoassist-inline"],
    ],
)
def test_same_batches_and_losses_inline_and_with_any_loader(reference, tmp_path, extra):
    assert lag_for(19, 1) == 32  # these loaders have the smallest lag
    other = train(data_bin(), tmp_path, *PLUGIN, *SHRINK, "--max-update", 70, *QUIET, *extra).ok()
    assert other.ids() == reference.ids() and one_after_another(other)
    assert other.losses() == reference.losses()


def test_a_loader_that_needs_a_longer_lag_gets_it(tmp_path):
    far = ["--num-workers", 1, "--data-buffer-size", 20, "--update-freq", 8, "--max-update", 9]
    runs = [
        train(data_bin(), tmp_path, *PLUGIN, *SHRINK, *QUIET, *far, *more).ok()
        for more in ([], ["--autoassist-inline"])  # a lag of 32 would be an error inline
    ]
    assert runs[0].ids() == runs[1].ids() and all(map(one_after_another, runs))


def test_the_seed_changes_the_batches(reference, tmp_path):
    words = [*PLUGIN, *SHRINK, "--max-update", 20, *QUIET, "--seed", 4]
    assert train(data_bin(), tmp_path, *words).ok().ids() != reference.ids()[:20]


@pytest.mark.parametrize("planning", ["process", "inline"])
def test_a_run_resumes_exactly_at_every_step(tmp_path, planning):
    data = data_bin(60, 10)  # about 7 micro-batches to an epoch
    words = [*PLUGIN, *SHRINK, "--disable-validation", "--num-workers", 1]
    words += ["--autoassist-inline"] if planning == "inline" else []
    every = ["--save-interval-updates", 1, "--max-update", 44]
    whole = train(data, tmp_path / "whole", *words, *every).ok()
    assert int(whole.updates[-1]["epoch"]) > 3
    assert len({tuple(ids) for ids in whole.ids()}) > 20  # batches differ, so a wrong order shows
    # the last steps hold the end of an epoch, an update before and one after it
    for step in (5, *range(39, 44)) if planning == "process" else (36, 42):
        saved = saved_at(tmp_path / "whole", step, whole)
        resumed = train(
            data, tmp_path / "r", *words, "--restore-file", saved, "--max-update", 44, "--no-save"
        ).ok()
        assert resumed.ids() == whole.ids()[step:], f"resumed at {step}"
        assert resumed.losses() == whole.losses()[step:], f"resumed at {step}"


def saved_at(folder, step, result):
    """Path of the checkpoint of an update; at the end of an epoch its name has no update."""
    inside = list(folder.glob(f"checkpoint_*_{step}.pt"))
    return inside[0] if inside else folder / f"checkpoint{result.updates[step - 1]['epoch']}.pt"


def test_resume_without_our_state_differs(tmp_path):
    """Reset the state, as a negative control: without it the resumed run must differ."""
    words = [*PLUGIN, *SHRINK, "--disable-validation"]
    every = ["--save-interval-updates", 20, "--max-update", 50]
    whole = train(data_bin(), tmp_path, *words, *every).ok()
    (saved,) = tmp_path.glob("checkpoint_*_20.pt")
    reset = ["--restore-file", saved, "--reset-dataloader", "--max-update", 50, "--no-save"]
    resumed = train(data_bin(), tmp_path / "r", *words, *reset).ok()
    assert len(resumed.ids()) == 30
    assert resumed.ids() != whole.ids()[20:]


def test_finetuning_takes_the_model_and_starts_a_new_stream(tmp_path):
    words = [*PLUGIN, *SHRINK, "--disable-validation"]
    train(data_bin(), tmp_path / "a", *words, "--max-update", 30).ok()
    model = ["--finetune-from-model", tmp_path / "a" / "checkpoint_last.pt"]
    tuned = train(data_bin(), tmp_path / "b", *words, *model, "--max-update", 10).ok()
    fresh = train(data_bin(), tmp_path / "c", *words, "--max-update", 10).ok()
    assert tuned.ids() == fresh.ids()  # a new stream, an untrained Assistant ...
    assert tuned.losses()[0] < fresh.losses()[0]  # ... and the trained model


def test_a_run_resumes_from_the_end_of_an_epoch_and_with_update_freq(tmp_path):
    words = [*PLUGIN, *SHRINK, "--disable-validation", "--update-freq", 3]
    whole = train(data_bin(), tmp_path / "a", *words, "--max-epoch", 4).ok()
    train(data_bin(), tmp_path / "b", *words, "--max-epoch", 2).ok()
    rest = train(data_bin(), tmp_path / "b", *words, "--max-epoch", 4).ok()
    done = len(whole.ids()) - len(rest.ids())
    assert done % 3 == 0 and 0 < done < len(whole.ids())
    assert rest.ids() == whole.ids()[done:]
    assert rest.losses() == whole.losses()[done:]


def test_uniform_trains_on_every_pair_once_per_pass(tmp_path):
    words = [*PLUGIN, "--autoassist-strategy", "uniform", *QUIET, "--max-epoch", 3]
    result = train(data_bin(), tmp_path, *words).ok()
    assert one_after_another(result)  # across the ends of epochs
    counts = np.bincount(flat(result.ids()), minlength=400)
    passes = float(result.updates[-1]["aa_pass"])
    assert counts.max() <= np.ceil(passes) and counts.min() >= np.floor(passes) - 1
    assert counts.mean() <= passes <= 4  # pairs in open buckets come later
    assert float(result.updates[-1]["aa_saved"]) == 0.0


def test_a_run_switches_from_stock_to_plugin_and_back(tmp_path, monkeypatch):
    save = ["--disable-validation", "--save-interval-updates", 7]
    first = train(data_bin(), tmp_path, *STOCK, *save, "--max-update", 10).ok()
    second = train(data_bin(), tmp_path, *PLUGIN, *SHRINK, *save, "--max-update", 25).ok()
    assert find(second, "no AutoAssist state")
    third = train(data_bin(), tmp_path, *PLUGIN, *SHRINK, *save, "--max-update", 40).ok()
    assert not find(third, "no AutoAssist state")
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")  # stock fairseq needs it
    back = train(data_bin(), tmp_path, *STOCK, *save, "--max-update", 60).ok()
    starts = [r.batches[0]["update"] for r in (first, second, third, back)]
    assert starts == [0, 10, 25, 40]  # the optimizer resumes each time


def test_competence_follows_the_trainers_updates_in_a_run_that_began_without_the_plugin(tmp_path):
    save = ["--disable-validation", "--no-epoch-checkpoints", "--log-interval", 1]
    train(data_bin(), tmp_path, *STOCK, *save, "--max-update", 10).ok()
    easy = ["--autoassist-strategy", "competence", "--autoassist-competence-by", "length"]
    easy += ["--autoassist-competence-start", 0.1, "--autoassist-competence-updates", 100]
    result = train(data_bin(), tmp_path, *PLUGIN, *easy, *save, "--max-update", 60).ok()
    # c(t) = sqrt(t (1 - c_0^2) / T + c_0^2), at the update that is being trained: the 60th
    last = float(result.updates[-1]["aa_competence"])
    assert last == pytest.approx((0.59 * 0.99 + 0.01) ** 0.5, abs=2e-3)


def test_shrinking_off_is_fairseqs_own_training(tmp_path):
    """Train on equal batches, which must give equal losses: the plugin changes only the batches.

    A data set of one pair has only one order.
    """
    # fairseq itself would drop a last batch that is no multiple of 8
    words = [*QUIET, "--max-update", 12, "--required-batch-size-multiple", 1]
    uniform = ["--autoassist-strategy", "uniform"]
    ours = train(data_bin(1, 2), tmp_path, *PLUGIN, *uniform, *words).ok()
    stock = train(data_bin(1, 2), tmp_path, *STOCK, *words).ok()
    assert ours.ids() == stock.ids() == [[0]] * 12
    assert ours.losses() == stock.losses()
    assert ours.updates[-1]["gnorm"] == stock.updates[-1]["gnorm"]
    # one batch of several padded pairs: the order of its rows differs, and so may rounding
    words += ["--max-tokens", 2000, "--dropout", 0]
    ours = train(data_bin(12, 2), tmp_path, *PLUGIN, *uniform, *words).ok()
    stock = train(data_bin(12, 2), tmp_path, *STOCK, *words).ok()
    assert [sorted(ids) for ids in ours.ids() + stock.ids()] == [list(range(12))] * 24
    np.testing.assert_allclose(ours.losses(), stock.losses(), rtol=1e-5)


@pytest.mark.parametrize("model", ["transformer", "lstm", "fconv"])
def test_architectures_train_validate_generate_and_resume(tmp_path, model):
    words = [*PLUGIN, *SHRINK, "--max-epoch", 1]
    result = train(data_bin(), tmp_path, *words, model=model).ok()
    assert find(result, '"valid_loss"') and find(result, '"valid_nll_loss"')
    again = train(data_bin(), tmp_path, *words[:-1], 2, model=model).ok()
    assert again.batches[0]["update"] == len(result.batches)
    checkpoint = tmp_path / "checkpoint_last.pt"
    generate = [
        "--path",
        checkpoint,
        "--gen-subset",
        "valid",
        "--beam",
        2,
        "--cpu",
        "--max-len-b",
        9,
    ]
    with_plugin = run("fairseq_cli.generate", data_bin(), *PLUGIN[:2], *generate).ok()
    assert with_plugin.output.count("\nH-") == 40


def test_generate_needs_no_plugin_and_validate_works(tmp_path, monkeypatch):
    train(data_bin(), tmp_path, *PLUGIN, *SHRINK, "--max-epoch", 1).ok()
    checkpoint = tmp_path / "checkpoint_last.pt"
    words = ["--path", checkpoint, "--cpu", "--max-tokens", 500]
    # loads under torch's strict rules, but for the Namespace of fairseq's own config
    assert "autoassist" in checkpoint_state(checkpoint)["extra_state"]["train_iterator"]
    # negative control: on torch >= 2.6 stock fairseq can load none of its own checkpoints ...
    failed = run("fairseq_cli.generate", data_bin(), "--gen-subset", "valid", *words)
    assert failed.status != 0 and "weights_only" in failed.output
    # ... without this variable
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    stock = run("fairseq_cli.generate", data_bin(), "--gen-subset", "valid", *words)
    assert stock.ok().output.count("\nH-") == 40
    monkeypatch.delenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD")
    tools = ["--valid-subset", "valid", *PLUGIN[:4]]
    assert "| valid | " in run("fairseq_cli.validate", data_bin(), *tools, *words).ok().output


def test_hydra_starts_a_run(tmp_path):
    words = ["--config-dir", ROOT / "recipes" / "multi30k", "--config-name", "hydra"]
    overrides = {
        "task.data": data_bin(),
        "common.user_dir": ROOT / "fairseq_autoassist",
        "checkpoint.save_dir": tmp_path / "ck",
        "hydra.run.dir": tmp_path / "hydra",
        "optimization.max_update": 3,
        "common.cpu": "true",
        "model.share_all_embeddings": "false",  # the slice has a dictionary for each side
        "+task.autoassist_floor": 0.7,
    }
    words += [f"{key}={value}" for key, value in overrides.items()]
    result = run("fairseq_cli.hydra_train", *words)
    assert result.status == 0, result.output[-3000:]
    assert len(result.batches) == 3


def test_batch_size_multiple_and_positions_hold(tmp_path):
    words = ["--batch-size", 5, "--required-batch-size-multiple", 2]
    words += ["--max-source-positions", 12, "--max-target-positions", 12, "--max-epoch", 2]
    words += ["--skip-invalid-size-inputs-valid-test", "--no-save"]
    result = train(data_bin(), tmp_path, *PLUGIN, *SHRINK, *words).ok()
    assert {len(ids) for ids in result.ids()} <= {4, 2, 1}
    dropped = find(result, "have invalid sizes and will be skipped")
    assert dropped, "fairseq counts what is filtered away"
    source, target = (
        np.array([len(line.split()) for line in (data_bin() / f"text.train.{lang}").open()])
        for lang in ("en", "de")
    )
    fits = (source + 1 <= 12) & (target + 1 <= 12)
    assert set(flat(result.ids())) <= set(np.flatnonzero(fits).tolist())


def test_eval_bleu_validation_interval_and_max_update_work(tmp_path):
    words = ["--eval-bleu", "--eval-bleu-args", '{"beam": 1, "max_len_b": 5}']
    words = [*PLUGIN, *SHRINK, *words, "--validate-interval-updates", 5, "--max-update"]
    result = train(data_bin(), tmp_path, *words, 11).ok()
    assert len(result.batches) == 11
    assert result.output.count('"valid_bleu"') == 3  # after 5, 10 and the last
    # with BLEU fairseq saves numpy arrays, which torch's strict rules refuse by default
    assert len(train(data_bin(), tmp_path, *words, 13, "--no-save").ok().batches) == 2


def test_checkpoint_grows_little(tmp_path):
    save = ["--disable-validation", "--max-update", 40]
    train(data_bin(), tmp_path, *PLUGIN, *SHRINK, *save).ok()
    state = checkpoint_state(tmp_path / "checkpoint_last.pt")
    import io

    import torch

    buffer = io.BytesIO()
    torch.save(state["extra_state"]["train_iterator"], buffer)
    assert buffer.tell() < 2_000_000


def test_features_may_lie_in_another_folder(tmp_path):
    folder = copy_data_bin(tmp_path / "data")
    shutil.move(folder / "autoassist" / "train.en-de", tmp_path / "features")
    words = [*PLUGIN, "--autoassist-features", tmp_path / "features", *QUIET, "--max-update", 2]
    assert len(train(folder, tmp_path, *words).ok().ids()) == 2


def test_weights_move_between_steps(tmp_path):
    """Compare weights, as a negative control of resume: a frozen model has equal losses anyway."""
    save = ["--disable-validation", "--save-interval-updates", 1, "--max-update", 3]
    result = train(data_bin(), tmp_path, *PLUGIN, *SHRINK, *save).ok()
    one, two = (checkpoint_weights(tmp_path / f"checkpoint_1_{n}.pt") for n in (1, 2))
    assert any(not np.array_equal(one[key], two[key]) for key in one)
    assert len(set(result.losses())) == 3
