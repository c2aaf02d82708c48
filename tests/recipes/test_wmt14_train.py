"""WMT14's train.py up to the launcher: ranks, disk, and the flags that a run began with."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
import torch

from preprocess.text import UserError
from recipes.common import plan
from recipes.wmt14_en_de import ranks, train
from recipes.wmt14_en_de.budget import Budget
from recipes.wmt14_en_de.settings import MODELS, SCALES

SLURM = "recipes/launch/slurm.sbatch"
UPDATES = 30
GB = 10**9


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Fix the budget, remove variables of the shell, and work in an empty folder."""
    for name in ("GPUS", "NNODES", "RANKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(train, "budget", lambda *_: Budget(1000, 100.0, 100.0, UPDATES))
    monkeypatch.chdir(tmp_path)


def call(*words: object) -> None:
    train.main(["--model", "base", "--scale", "tiny", "--run", "run", *map(str, words)])


def command(capsys: pytest.CaptureFixture[str], *words: object) -> list[str]:
    """Training command that a dry run of train.py prints."""
    call("--dry-run", *words)
    line = next(x for x in capsys.readouterr().out.splitlines() if x.startswith("$ "))
    return shlex.split(line[2:])


def saved(updates: int, run: str = "run", name: str = "checkpoint_last.pt") -> None:
    """Write the part of a checkpoint that train.py reads."""
    Path(run).mkdir(exist_ok=True)
    state = {"model": {"w": torch.zeros(2)}, "optimizer_history": [{"num_updates": updates}]}
    torch.save(state, Path(run) / name)


def test_a_run_is_not_resumed_with_other_settings(tmp_path: Path) -> None:
    train.remember(tmp_path, ["--lr", "0"])  # this call left no checkpoint
    train.remember(tmp_path, ["--lr", "1"])
    (tmp_path / "checkpoint_last.pt").write_text("")
    train.remember(tmp_path, ["--lr", "1"])
    train.remember(tmp_path, ["--lr=2", "--lr", "1"])  # fairseq reads this the same
    train.remember(tmp_path, ["--lr", "1"])
    changed = r"settings than now \(--lr 1 -> 2 3, --cpu not given -> given\); expected"
    with pytest.raises(SystemExit, match=changed):
        train.remember(tmp_path, ["--lr", "2", "3", "--cpu"])
    with pytest.raises(SystemExit, match=r"settings than now \(--lr 1 -> not given\)"):
        train.remember(tmp_path, [])
    assert json.loads((tmp_path / train.SETTINGS).read_text()) == ["--lr", "1"]


@pytest.mark.parametrize("content", ['["--lr",', "null", "[1]"])
def test_damaged_settings_are_refused_in_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "checkpoint_last.pt").write_text("")
    (tmp_path / train.SETTINGS).write_text(content)
    with pytest.raises(UserError, match=r"settings.json is damaged; expected .* \(`rm "):
        train.remember(tmp_path, ["--lr", "1"])
    assert (tmp_path / train.SETTINGS).read_text() == content


def test_a_finished_run_trains_no_further(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    monkeypatch.setattr(train.os, "chdir", lambda folder: None)
    monkeypatch.setattr(train.os, "execvpe", lambda *_: started.append("again"))
    saved(UPDATES - 1)
    call()
    assert started == ["again"]
    saved(UPDATES)
    call()
    out = capsys.readouterr().out
    assert started == ["again"] and out.count("finished: ") == 1
    with pytest.raises(UserError, match="begun with other settings"):
        call("--baseline")
    for name, flags in (("one", ["--max-update", "31"]), ("two", ["--max-update=31"])):
        saved(UPDATES, name)  # the user's own --max-update counts
        call("--run", name, "--", *flags)
    assert started == ["again"] * 3


def test_a_damaged_last_checkpoint_is_refused_before_anything_starts() -> None:
    saved(UPDATES)
    Path("run/checkpoint_last.pt").write_bytes(Path("run/checkpoint_last.pt").read_bytes()[:-10])
    with pytest.raises(UserError, match="cannot read .*checkpoint_last.pt .*whole one over it"):
        call()


@pytest.mark.parametrize(
    ("flags", "max_tokens", "batches", "updates"),
    [
        ("", 500, 1, UPDATES),
        ("--max-tokens 9 --max-tokens=2048", 2048, 1, UPDATES),
        ("--update-freq 4 --lr 1", 500, 4, UPDATES),
        ("--max-update=31", 500, 1, 31),
    ],
)
def test_the_users_own_flags_count_in_the_budget(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    flags: str,
    max_tokens: int,
    batches: int,
    updates: int,
) -> None:
    counted = []
    result = Budget(1000, 100.0, 100.0, UPDATES)
    monkeypatch.setattr(train, "budget", lambda *words: counted.append(words[2:]) or result)
    call("--dry-run", "--", *flags.split())
    out = capsys.readouterr().out
    assert counted == [(max_tokens, batches)] and f"base: {updates} updates of " in out
    assert f"--max-update {updates} " in out and out.endswith(f"{flags}\n")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--batch-size 8", "found --batch-size 8 after --; expected none.* give --max-tokens"),
        ("--max-sentences=8", "found --max-sentences 8 after --.* give --max-tokens"),
        ("--max-epoch 3", "found --max-epoch 3 after --.* give --max-update"),
        ("--distributed-world-size 4", "found --distributed-world-size 4 .*: give --gpus, before"),
        ("--update-freq 4,2", "--update-freq is 4,2; expected a number of 1 or more"),
        ("--max-update 0", "--max-update is 0; expected a number"),
        ("--max-tokens", "--max-tokens is ; expected a number"),
    ],
)
def test_flags_that_would_make_another_budget_are_refused(flags: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        call("--dry-run", "--", *flags.split())


@pytest.mark.parametrize(
    ("visible", "mend"), [(0, "try the recipe with --scale tiny"), (7, "give --gpus 4,")]
)
def test_more_ranks_than_gpus_are_refused_before_anything_starts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, visible: int, mend: str
) -> None:
    started: list[object] = []
    monkeypatch.setattr(train, "become", lambda *words: started.append(words))
    monkeypatch.setattr(train, "check_room", lambda *_: None)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: visible)
    with pytest.raises(UserError, match=f"found {visible} GPUs .*; expected 8, .*{mend}"):
        call("--scale", "full")
    assert not started and not Path("run").exists()
    command(capsys, "--scale", "full")  # a dry run needs no GPU
    call("--gpus", 1)  # the tiny scale trains on a CPU
    call("--scale", "full", "--run", "more", "--gpus", 16, "--launch", f"sbatch {SLURM}")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    call("--scale", "full", "--run", "full")
    assert len(started) == 3


@pytest.mark.parametrize(
    ("launch", "message"),
    [
        ("nothere.sh", "cannot run --launch nothere.sh .*No such file"),
        ("./README.md", "cannot run --launch ./README.md .*Permission denied"),
        ("", "--launch is empty; expected a script"),
        ("'one", "--launch is 'one .*end its quotes"),
    ],
)
def test_a_launcher_that_cannot_run_is_refused(launch: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        call("--launch", launch)


def test_torchruns_ranks_must_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNODES", "2")
    monkeypatch.setenv("GPUS", "8")
    assert ranks.variables(["recipes/launch/torchrun.sh"], 16)["GPUS"] == "8"
    with pytest.raises(SystemExit, match="NNODES=2 GPUS=8 are not --gpus 8"):
        ranks.variables(["recipes/launch/torchrun.sh"], 8)
    assert ranks.variables(["recipes/launch/one_node.sh"], 4)["GPUS"] == "4"


def test_a_launcher_on_one_machine_starts_the_ranks_of_the_budget(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = []
    result = Budget(1000, 100.0, 100.0, UPDATES)
    monkeypatch.setattr(train, "budget", lambda *words: counted.append(words[3]) or result)
    started: list[dict[str, str]] = []
    monkeypatch.setattr(train, "become", lambda command, variables: started.append(variables))
    cpu = ["--launch", "recipes/launch/cpu_gloo.sh"]
    call(*cpu)
    call(*cpu, "--gpus", 2)
    monkeypatch.setenv("RANKS", "3")
    call(*cpu)
    call("--launch", "env RANKS=4 recipes/launch/cpu_gloo.sh")
    assert counted == [1, 2, 3, 4] and [found["RANKS"] for found in started] == list("1234")
    with pytest.raises(UserError, match="RANKS=2 are not --gpus 3 .* give --gpus 2"):
        call("--launch", "env RANKS=2 recipes/launch/cpu_gloo.sh", "--gpus", 3)


def test_ranks_come_from_the_variables_of_the_launcher(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def accumulated(*words: str) -> str:
        found = command(capsys, "--scale", "full", *words)
        return found[found.index("--update-freq") + 1]

    assert accumulated() == "1"
    monkeypatch.setenv("GPUS", "2")
    assert accumulated() == "4"
    assert accumulated("--gpus", "4") == "2"
    monkeypatch.setenv("NNODES", "2")
    assert accumulated("--launch", "recipes/launch/torchrun.sh") == "2"
    monkeypatch.setenv("GPUS", "two")
    with pytest.raises(UserError, match="GPUS is two; expected a number"):
        accumulated()
    with pytest.raises(UserError, match="--gpus is 0"):
        accumulated("--gpus", "0")


@pytest.mark.parametrize(
    ("words", "started"),
    [
        ("", 16),  # set in the script's header
        ("--nodes 1", 8),
        ("--nodes=3 --partition x", 24),
        ("-N 4 --ntasks-per-node=4", 16),
    ],
)
def test_slurms_ranks_must_add_up(words: str, started: int) -> None:
    launch = ranks.launcher(f"sbatch {words} {SLURM}")
    ranks.variables(launch, started)
    with pytest.raises(UserError, match=rf"are not --gpus 5 .* give --gpus {started},"):
        ranks.variables(launch, 5)


def test_a_range_of_nodes_and_a_missing_script_of_slurm_are_refused() -> None:
    with pytest.raises(UserError, match="--nodes of sbatch is 2-4; expected a number"):
        ranks.variables(["sbatch", "--nodes=2-4", SLURM], 8)
    with pytest.raises(UserError, match="found no nothere.sbatch"):
        ranks.variables(["sbatch", "nothere.sbatch"], 8)


def test_a_full_disk_is_refused_before_anything_starts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    size = 10 * MODELS["base"].parameters["paper"]
    kept = SCALES["full"].average + 3
    usage = plan.shutil.disk_usage(tmp_path)._replace(free=2 * size)
    monkeypatch.setattr(plan.shutil, "disk_usage", lambda path: usage)
    full = ["--scale", "full"]
    with pytest.raises(UserError, match=f"1.72 GB free; .* {kept} checkpoints.*folder with --run"):
        command(capsys, *full)
    saved(1)
    for number in range(kept - 2):
        with open(f"run/checkpoint_1_{number}.pt", "wb") as stream:
            stream.truncate(size)  # a sparse file uses no disk
        if number == kept - 4:
            with pytest.raises(UserError, match="less those there"):
                command(capsys, *full)
    assert command(capsys, *full)
