"""WMT14's runs: their differences, their length, and the checkpoints averaged and scored."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
import sacrebleu
import torch
from fairseq import options
from fairseq.data import Dictionary
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq.tasks.translation import TranslationTask

from preprocess.text import UserError
from recipes.common.average import average, last_checkpoints
from recipes.common.score import old_score, split_compounds
from recipes.wmt14_en_de import train
from recipes.wmt14_en_de.budget import budget
from recipes.wmt14_en_de.settings import LANGS, MODELS, SCALES, TARGET_TOKENS
from tests.support.corpus import make_data_bin, multi30k_pairs
from tests.support.limits import largest_file

FULL = SCALES["full"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the outputs of prepare.py that train.py reads."""
    folder = tmp_path_factory.mktemp("wmt14")
    make_data_bin(folder / "paper" / "data-bin", multi30k_pairs("train", 203))
    return folder


def dry(data: Path, capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    """Training command that a dry run of train.py prints."""
    train.main(["--data", str(data), "--dry-run", *words])
    line = next(x for x in capsys.readouterr().out.splitlines() if x.startswith("$ "))
    return shlex.split(line[2:])


@pytest.mark.parametrize("model", sorted(MODELS))
def test_a_baseline_differs_in_the_plugins_flags_alone(
    data: Path, capsys: pytest.CaptureFixture[str], model: str
) -> None:
    run = ["--run", str(data / "run"), "--model", model]
    assisted, plain = dry(data, capsys, *run), dry(data, capsys, *run, "--baseline")
    assert plain[: len(assisted)] == assisted
    assert plain[len(assisted) :] == [
        *["--task", "translation"],
        *["--criterion", "label_smoothed_cross_entropy"],
    ]


def test_the_budget_is_what_fairseqs_batches_hold(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match=rf"prepare --vocab joint --out {data / 'absent'}`"):
        budget(data / "absent" / "joint" / "data-bin", 100_000, 500, 8)
    bin_folder = data / "paper" / "data-bin"
    found = budget(bin_folder, 100_000, 500, 8)
    tokens = sum(len(target.split()) + 1 for _, target in multi30k_pairs("train", 203))
    assert found.pass_tokens == tokens
    assert 0.5 * 500 < found.batch_tokens < 500
    # One batch of nearly all pairs: fairseq drops those beyond a multiple of 8.
    assert 0.97 * tokens < budget(bin_folder, 1, 10**6, 1).batch_tokens <= tokens
    assert found.updates == int(np.ceil(100_000 / (8 * found.batch_tokens)))
    words = dry(data, capsys, "--model", "big", "--gpus", "2")
    value = dict(zip(words, words[1:]))
    assert value["--update-freq"] == "4"
    expected = budget(bin_folder, TARGET_TOKENS, 3584, 8).updates
    assert int(value["--max-update"]) == expected
    assert int(value["--save-interval-updates"]) == expected // 50
    assert "--fp16" in words


@pytest.mark.parametrize(("gpus", "accumulated"), [(1, 8), (4, 2), (8, 1), (16, 1)])
def test_fewer_ranks_accumulate_more_batches(gpus: int, accumulated: int) -> None:
    assert train.update_freq(gpus, FULL) == accumulated


@pytest.mark.parametrize("gpus", [0, 3, 5])
def test_ranks_that_make_another_update_are_refused(gpus: int) -> None:
    with pytest.raises(SystemExit, match=f"--gpus is {gpus}; expected a divisor of 8"):
        train.update_freq(gpus, FULL)


def dictionary(pieces: int) -> Dictionary:
    words = Dictionary()
    for number in range(pieces - 1):  # <unk> is fairseq's own
        words.add_symbol(str(number))
    return words


@pytest.mark.parametrize("vocab", ["paper", "joint"])
@pytest.mark.parametrize("name", sorted(MODELS))
def test_the_settings_hold_the_number_of_parameters(vocab: str, name: str) -> None:
    """fairseq itself builds the models, without memory for their weights."""
    size = FULL.vocabularies[vocab]
    source = dictionary(size.source)
    target = source if size.target is None else dictionary(size.target)
    words = train.training_flags(MODELS[name], FULL, size.target is None)
    parsed = options.parse_args_and_arch(options.get_training_parser(), ["data", *words])
    config = convert_namespace_to_omegaconf(parsed)
    with torch.device("meta"):
        model = TranslationTask(config.task, source, target).build_model(config.model)
    parameters = sum(weight.numel() for weight in model.parameters())
    assert parameters == MODELS[name].parameters[vocab]


def checkpoint(path: Path, value: float, dtype: torch.dtype = torch.float32) -> None:
    weights = {"w": torch.full((2,), value, dtype=dtype), "n": torch.tensor([3])}
    state = {"model": weights, "last_optimizer_state": {"m": 1}, "optimizer_history": []}
    torch.save({**state, "extra_state": {"train_iterator": {}, "epoch": 1}, "cfg": None}, path)


def test_the_last_checkpoints_are_averaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fairseq import checkpoint_utils

    monkeypatch.setattr(checkpoint_utils, "_upgrade_state_dict", lambda state: state)
    for update, value in ((9, 7.0), (10, 1.0), (110, 2.0)):  # sorted as numbers: 9 < 10 < 110
        checkpoint(tmp_path / f"checkpoint_1_{update}.pt", value, torch.float16)
    checkpoint(tmp_path / "checkpoint_last.pt", 100.0)
    paths = last_checkpoints(tmp_path, 2)
    assert [path.name for path in paths] == ["checkpoint_1_110.pt", "checkpoint_1_10.pt"]
    average(paths, tmp_path / "averaged.pt")
    state = torch.load(tmp_path / "averaged.pt", weights_only=True)
    assert state["model"]["w"].tolist() == [1.5, 1.5]
    assert state["model"]["w"].dtype == torch.float32 and state["model"]["n"].tolist() == [3]
    assert state["last_optimizer_state"] is None and "train_iterator" not in state["extra_state"]
    with pytest.raises(SystemExit, match="holds 3 checkpoints saved by updates; expected 4"):
        last_checkpoints(tmp_path, 4)


def test_checkpoints_of_two_models_are_not_averaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fairseq import checkpoint_utils

    monkeypatch.setattr(checkpoint_utils, "_upgrade_state_dict", lambda state: state)
    one, two = tmp_path / "checkpoint_1_1.pt", tmp_path / "checkpoint_1_2.pt"
    checkpoint(one, 1.0)
    torch.save({"model": {"w": torch.zeros(3), "n": torch.tensor([3])}, "extra_state": {}}, two)
    with pytest.raises(SystemExit, match=r"are of different models \(at w\)"):
        average([one, two], tmp_path / "averaged.pt")


# torch turns the second case into a RuntimeError.
@pytest.mark.parametrize(("weights", "room"), [(2, 800), (200_000, 100_000)])
def test_an_average_on_a_full_disk_is_refused_in_one_line_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: int, room: int
) -> None:
    from fairseq import checkpoint_utils

    monkeypatch.setattr(checkpoint_utils, "_upgrade_state_dict", lambda state: state)
    state = {"model": {"w": torch.zeros(weights)}, "optimizer_history": [], "cfg": None}
    torch.save({**state, "extra_state": {}}, tmp_path / "one.pt")
    with pytest.raises(UserError, match="room.* averaged.pt|averaged.pt .*room") as error:
        with largest_file(room):
            average([tmp_path / "one.pt"], tmp_path / "averaged.pt")
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["one.pt"]


@pytest.mark.parametrize("kept", [0, 500, -10])
def test_a_checkpoint_cut_short_is_refused_in_one_line(tmp_path: Path, kept: int) -> None:
    one = tmp_path / "checkpoint_1_1.pt"
    checkpoint(one, 1.0)
    one.write_bytes(one.read_bytes()[:kept])
    with pytest.raises(UserError, match="cannot read .*expected a whole.*rm .*_1.pt") as error:
        average([one], tmp_path / "averaged.pt")
    assert "\n" not in str(error.value) and not (tmp_path / "averaged.pt").exists()


def test_compounds_are_split_as_fairseq_splits_them() -> None:
    assert split_compounds("E-Mail - rot-weiß-rot") == (
        "E ##AT##-##AT## Mail - rot ##AT##-##AT## weiß ##AT##-##AT## rot"
    )


def test_the_old_score_names_its_tokeniser_and_counts_its_tokens() -> None:
    sacremoses = pytest.importorskip("sacremoses")
    reference = ["Die E-Mail-Adresse ist heute neu.", "Er sagt: „Nein, das geht nicht.“"]
    close = [reference[0].replace("E-Mail-Adresse", "E-Mail-Anschrift"), reference[1]]
    ((name, exact),) = old_score(reference, reference, LANGS[1]).items()
    assert name.startswith("BLEU, tokenised") and exact["score"] == pytest.approx(100)
    assert f"sacremoses-{sacremoses.__version__}" in str(exact["signature"])
    # The expected score is of tokens written out by hand.
    tokens = ["Die E ##AT##-##AT## Mail ##AT##-##AT## Anschrift ist heute neu ."]
    tokens.append("Er sagt : „ Nein , das geht nicht . “")
    right = [tokens[0].replace("Anschrift", "Adresse"), tokens[1]]
    expected = sacrebleu.BLEU(tokenize="none", force=True).corpus_score(tokens, [right]).score
    assert old_score(close, reference, LANGS[1])[name]["score"] == pytest.approx(expected)


def test_no_tokenised_score_without_its_tokeniser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sacremoses", None)
    with pytest.raises(SystemExit, match="found no sacremoses; .*pip install sacremoses"):
        old_score(["a"], ["a"], "de")
