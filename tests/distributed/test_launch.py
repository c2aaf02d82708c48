"""Launch recipes: real runs where a CPU allows them, else checks of what fairseq infers."""

import argparse
import contextlib
import os
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from fairseq.dataclass.configs import DistributedTrainingConfig
from fairseq.distributed import utils as distributed_utils

from tests.support.checkpoints import checkpoint_state
from tests.support.corpus import ROOT
from tests.support.processes import alive, children, wait_for
from tests.support.training import COMMON, SHRINK, TINY, data_bin

pytestmark = pytest.mark.timeout(150)
LAUNCH = ROOT / "recipes" / "launch"
SCRIPTS = sorted(path.name for path in LAUNCH.iterdir() if path.name != "README.md")
SLURM = {"SLURM_JOB_ID": "123456", "SLURM_NNODES": "2", "SLURM_NTASKS_PER_NODE": "4"}
ARGUMENTS = {
    "one_node.sh": {"GPUS": "4"},
    "torchrun.sh": {"NNODES": "2", "GPUS": "4", "MASTER": "first:29500"},
    "slurm.sbatch": SLURM,
    "cpu_gloo.sh": {"RANKS": "2", "PORT": "12345"},
}
MODEL = [*TINY["transformer"], *COMMON, *SHRINK, "--disable-validation"]
CPU = ["--cpu", "--distributed-backend", "gloo", "--ddp-backend", "legacy_ddp"]


def environment(bin_folder=None, **variables):
    """Environment without a launcher's variables, in which this Python's programs come first."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "TORCHELASTIC"))}
    for name in ("MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE", "RANK", "DRY_RUN"):
        kept.pop(name, None)
    folders = [bin_folder, Path(sys.executable).parent, os.environ["PATH"]]
    kept["PATH"] = os.pathsep.join(str(folder) for folder in folders if folder)
    return {**kept, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive", **variables}


@contextlib.contextmanager
def start(script, *words, bin_folder=None, output=None, **variables):
    """Start a script, which ends with all its descendants at the end of the block."""
    command = ["bash", str(LAUNCH / script), *[str(word) for word in words]]
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(open(output, "w")) if output else subprocess.PIPE
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(bin_folder, **variables),
            stdout=file,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            for pid in [process.pid, *children(process.pid)]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError):  # processes that outlived the script
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def dry_run(script, *words, variables=None):
    """Commands that a script would run, each as a list of words."""
    variables = ARGUMENTS[script] if variables is None else variables
    with start(script, "data", "run", *words, DRY_RUN="1", **variables) as process:
        output, _ = process.communicate(timeout=20)
        assert process.returncode == 0, output
    return [shlex.split(line) for line in output.splitlines()]


def value(words, flag):
    return words[words.index(flag) + 1]


def program(path, *lines):
    """Write an executable; the first line names its interpreter."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o755)
    return path


def pretend_gpus(folder, count):
    """Write a fairseq-train that counts so many GPUs where there are none."""
    program(
        folder / "fairseq-train",
        f"#!{sys.executable}",
        "import torch",
        f"torch.cuda.device_count = lambda: {count}",
        "torch.cuda.set_device = lambda device: None",
        "from fairseq_cli import train",
        "if __name__ == '__main__':",
        "    train.cli_main()",
    )
    return folder


def ranks_saved(run):
    """Number of ranks in the last checkpoint, and of updates."""
    state = checkpoint_state(run / "checkpoint_last.pt")
    trained = state["optimizer_history"][-1]["num_updates"]
    return len(state["extra_state"]["train_iterator"]["autoassist"]["ranks"]), trained


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_are_valid_bash(script):
    subprocess.run(["bash", "-n", str(LAUNCH / script)], check=True, timeout=10)
    if script in ARGUMENTS:
        with start(script) as process:
            assert "usage:" in process.communicate(timeout=10)[0] and process.returncode


@pytest.mark.parametrize("script", sorted(ARGUMENTS))
def test_a_script_refuses_to_run_outside_the_root(script, tmp_path):
    command = ["bash", str(LAUNCH / script), "data", "run"]
    variables = environment(DRY_RUN="1", **ARGUMENTS[script])
    said = subprocess.run(
        command, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=30
    )
    assert said.returncode == 1 and not said.stdout
    assert len(said.stderr.splitlines()) == 1 and "from the root of the repo" in said.stderr


@pytest.mark.parametrize("script", sorted(ARGUMENTS))
def test_every_script_passes_the_plugin_and_flags_on(script):
    commands = dry_run(script, "--arch", "transformer", "--user-dir", "elsewhere")
    assert len(commands) == (2 if script == "cpu_gloo.sh" else 1)
    for words in commands:
        training = words[words.index("fairseq-train") :]
        assert training[1] == "data" and value(training, "--save-dir") == "run"
        assert value(training, "--task") == "translation_autoassist"
        assert value(training, "--criterion").startswith("autoassist_")
        assert value(training, "--arch") == "transformer"
        # the user's flags come last, so they override the script's
        assert training[::-1].index("elsewhere") < training[::-1].index("fairseq_autoassist")
        # fairseq's default resumes an interrupted run
        assert "--restore-file" not in training


def test_each_script_sets_the_world_size_and_how_ranks_meet():
    assert value(dry_run("one_node.sh")[0], "--distributed-world-size") == "4"
    words = dry_run("torchrun.sh")[0]
    assert value(words, "--distributed-world-size") == "8"
    assert value(words, "--rdzv-endpoint") == "first:29500" and "--no-python" in words
    assert "--distributed-init-method" not in words
    first, second = dry_run("cpu_gloo.sh")
    assert [value(words, "--distributed-rank") for words in (first, second)] == ["0", "1"]
    assert value(first, "--distributed-init-method") == "tcp://localhost:12345"
    assert {"--cpu", "--distributed-no-spawn", "gloo", "legacy_ddp"} <= set(first)


def infer(words, monkeypatch):
    """Init method, rank and device that fairseq infers from flags and environment."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--distributed-world-size", type=int)
    parser.add_argument("--distributed-port", type=int, default=-1)
    flags = vars(parser.parse_known_args(words)[0])
    config = DistributedTrainingConfig(tpu=False, pipeline_model_parallel=False, **flags)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    distributed_utils.infer_init_method(config)
    assert config.distributed_no_spawn and config.distributed_world_size == 8
    return config.distributed_init_method, config.distributed_rank, config.device_id


def test_fairseq_infers_rank_and_device_from_slurm(tmp_path, monkeypatch):
    program(tmp_path / "scontrol", "#!/bin/sh", "echo first", "echo second")
    assert value(dry_run("slurm.sbatch", variables={})[0], "--distributed-world-size") == "16"
    words = dry_run("slurm.sbatch")[0]
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    for name in ("MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE", "RANK", "SLURM_STEP_NODELIST"):
        monkeypatch.delenv(name, raising=False)
    task = {"SLURM_JOB_NODELIST": "n[1-2]", "SLURM_PROCID": "6", "SLURM_LOCALID": "2"}
    for name, text in {**SLURM, **task}.items():
        monkeypatch.setenv(name, text)
    port = value(words, "--distributed-port")
    assert 10000 <= int(port) < 30000
    assert infer(words, monkeypatch) == (f"tcp://first:{port}", 6, 2)


def test_fairseq_infers_rank_and_device_from_torchrun(monkeypatch):
    environ = {"MASTER_ADDR": "first", "MASTER_PORT": "29500", "WORLD_SIZE": "8", "RANK": "6"}
    for name, text in environ.items():
        monkeypatch.setenv(name, text)
    assert infer(dry_run("torchrun.sh")[0], monkeypatch) == ("env://", 6, 2)


@pytest.mark.parametrize("finished", [False, True])
def test_slurm_ends_the_ranks_before_the_limit_and_queues_the_job_again(tmp_path, finished):
    begun, told, queued = tmp_path / "begun", tmp_path / "told", tmp_path / "queued"
    end = "exit 0" if finished else f"echo > {told}; exit 143"
    program(
        tmp_path / "bin" / "srun",
        *["#!/bin/bash", f"trap '{end}' TERM", f"echo > {begun}", "while :; do sleep 0.1; done"],
    )
    program(tmp_path / "bin" / "scontrol", "#!/bin/sh", f'echo "$@" > {queued}')
    with start("slurm.sbatch", "data", "run", bin_folder=tmp_path / "bin", **SLURM) as process:
        wait_for(begun.exists, 10, "the step to begin")
        process.send_signal(signal.SIGUSR1)
        assert process.wait(20) == 0
    assert queued.exists() is told.exists() is not finished
    if not finished:
        assert queued.read_text().split() == ["requeue", "123456"]


def test_slurm_ends_a_step_that_it_has_only_just_started(tmp_path):
    """Signal the script at the moment when it does not know the step's process id yet."""
    told, queued, early = tmp_path / "told", tmp_path / "queued", tmp_path / "early"
    waiting = f"until [ -e {tmp_path}/begun ]; do sleep 0.02; done; kill -USR1 $$"
    early.write_text(f"trap '[[ $BASH_COMMAND != \"step=\\$!\" ]] || {{ {waiting}; }}' DEBUG\n")
    program(
        tmp_path / "bin" / "srun",
        *["#!/bin/sh", f"trap 'echo > {told}; exit 143' TERM", f"echo > {tmp_path}/begun"],
        "while :; do sleep 0.1; done",
    )
    program(tmp_path / "bin" / "scontrol", "#!/bin/sh", f"echo > {queued}")
    words = {"bin_folder": tmp_path / "bin", "BASH_ENV": early, **SLURM}
    with start("slurm.sbatch", "data", "run", **words) as process:
        assert process.wait(20) == 0
    assert told.exists() and queued.exists()


def test_cpu_gloo_trains(tmp_path):
    run = tmp_path / "run"
    words = [data_bin(), run, *MODEL, "--max-update", 12]
    with start("cpu_gloo.sh", *words, output=tmp_path / "output") as process:
        assert process.wait(100) == 0, (tmp_path / "output").read_text()[-3000:]
    assert "aa_gamma" in (tmp_path / "output").read_text()
    assert "Error" not in (run / "rank1.log").read_text()
    assert ranks_saved(run) == (2, 12)


def test_cpu_gloo_ends_all_ranks_when_one_fails(tmp_path):
    """Test the script alone; test_faults has the end of fairseq's own ranks."""
    begun = [tmp_path / "rank0", tmp_path / "rank1"]
    # the last argument of a rank's command is the rank
    write = f'f="{tmp_path}/rank${{@: -1}}"; echo $$ > "$f.part" && mv "$f.part" "$f"'
    program(
        tmp_path / "bin" / "fairseq-train",
        *["#!/bin/bash", write, "while :; do sleep 0.1; done"],
    )
    words = ["data", tmp_path / "run"]
    with start("cpu_gloo.sh", *words, bin_folder=tmp_path / "bin") as process:
        wait_for(lambda: all(path.exists() for path in begun), 20, "both ranks")
        below = children(process.pid)
        os.kill(int(begun[1].read_text()), signal.SIGKILL)
        assert process.wait(30) == 128 + signal.SIGKILL  # the status of the rank that failed
        wait_for(lambda: not any(alive(pid) for pid in below), 10, "all processes to end")


def test_one_node_trains_on_processes_that_fairseq_spawns(tmp_path):
    run, bin_folder = tmp_path / "run", pretend_gpus(tmp_path / "bin", 2)
    words = [data_bin(), run, *MODEL, *CPU, "--max-update", 12]
    output = tmp_path / "output"
    with start("one_node.sh", *words, bin_folder=bin_folder, output=output, GPUS="2") as process:
        assert process.wait(100) == 0, output.read_text()[-3000:]
    assert ranks_saved(run) == (2, 12)


def test_torchrun_trains_on_two_nodes_of_one_gpu_each(tmp_path):
    run, bin_folder = tmp_path / "run", pretend_gpus(tmp_path / "bin", 1)
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        master = f"localhost:{probe.getsockname()[1]}"
    words = [data_bin(), run, *MODEL, *CPU, "--max-update", 12]
    variables = {"NNODES": "2", "GPUS": "1", "MASTER": master}
    with contextlib.ExitStack() as stack:
        nodes = [
            stack.enter_context(
                start("torchrun.sh", *words, bin_folder=bin_folder, output=path, **variables)
            )
            for path in (tmp_path / "node0", tmp_path / "node1")
        ]
        for node in nodes:
            assert node.wait(100) == 0, (tmp_path / "node0").read_text()[-3000:]
    assert ranks_saved(run) == (2, 12)
