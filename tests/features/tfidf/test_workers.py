"""Several workers make the bits that one process makes, and leave no files."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable, Sequence

import numpy as np
import pytest

from fairseq_autoassist.cli.tfidf import main
from fairseq_autoassist.errors import FeatureError
from fairseq_autoassist.features.commands import feature_folder
from fairseq_autoassist.features.tfidf import build
from fairseq_autoassist.features.tfidf.build import build_features
from fairseq_autoassist.features.workers import Crew
from tests.support.corpus import ROOT, write_data_bin
from tests.support.processes import SLOW_TFIDF, alive, children, wait_for

SMALL: dict[str, Any] = {"chunk_tokens": 500, "progress": False}


@pytest.fixture
def bins(tmp_path: Path) -> list[Path]:
    """Two data-bins of different size, with unknown words, and columns that only one has."""
    folders = []
    for name, rows in (("a", 400), ("b", 90)):
        folder = write_data_bin(tmp_path / name, rows, seed=rows, vocabulary=300)
        path = folder / "train.de-en.de.bin"
        tokens = np.fromfile(path, "<u2")
        tokens[5 : rows : len(folders) + 2] = 3  # <unk>
        tokens.tofile(path)
        folders.append(folder)
    return folders


def joined(folders: Sequence[Path]) -> str:
    return os.pathsep.join(map(str, folders))


def content(folders: Sequence[Path]) -> dict[str, bytes]:
    """Every file of every folder of features, the manifests included."""
    targets = [feature_folder(folder, "train", "de", "en") for folder in folders]
    return {str(p): p.read_bytes() for target in targets for p in sorted(target.iterdir())}


def leftovers(folders: Sequence[Path]) -> list[Path]:
    """Files and folders in the folders for features, hidden ones too."""
    return [path for folder in folders for path in folder.glob("autoassist/*")]


def check_same(folders: Sequence[Path], **settings: Any) -> None:
    """Build in this process, then as ``settings`` say, and compare."""
    build_features(joined(folders), **{**SMALL, **settings, "workers": 1, "backend": None})
    wanted = content(folders)
    report = build_features(joined(folders), force=True, **{**SMALL, **settings})
    found = content(folders)
    assert found.keys() == wanted.keys()
    assert [name for name in wanted if found[name] != wanted[name]] == []
    assert not report.reused and len(leftovers(folders)) == len(folders)


@pytest.mark.parametrize("shards", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_processes_give_the_same_bits(bins: list[Path], shards: int) -> None:
    before = children(os.getpid())  # what other tests share, such as a fork server
    check_same(bins[:shards], workers=4)
    new = set(children(os.getpid())) - set(before)
    assert all(_resource_tracker(pid) for pid in new)  # loky's own, until exit


def _resource_tracker(pid: int) -> bool:
    return "resource_tracker" in Path(f"/proc/{pid}/cmdline").read_text()


@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize(
    "settings",
    [
        {"workers": 1},
        {"workers": 3, "block_nonzeros": 400},
        {"workers": 2, "chunk_tokens": 10**6},
        {"workers": 2, "chunk_tokens": 1, "block_nonzeros": 1000},
    ],
)
def test_parts_and_blocks_change_nothing(bins: list[Path], shards: int, settings: dict) -> None:
    check_same(bins[:shards], backend="threading", **settings)


def test_a_task_may_run_twice(bins: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster may run a task again when it has lost the first run."""

    def twice(function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **more: Any) -> Any:
            function(*arguments, **more)
            return function(*arguments, **more)

        return run

    build_features(joined(bins), **SMALL)
    wanted = content(bins)
    for name in ("count_part", "weigh_part"):
        monkeypatch.setattr(build, name, twice(getattr(build, name)))
    build_features(joined(bins), force=True, workers=2, backend="threading", **SMALL)
    assert content(bins) == wanted


def test_workers_are_sent_paths_and_send_numbers_per_token(
    bins: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: dict[str, list[int]] = {}
    run = Crew.run

    def watched(self: Crew, label: str, function: Any, tasks: Any, *rest: Any) -> Any:
        sent = [len(pickle.dumps((function, task))) for task in tasks]
        for number, result in run(self, label, function, tasks, *rest):
            sizes.setdefault(label, []).append(max(sent[number], len(pickle.dumps(result))))
            yield number, result

    monkeypatch.setattr(Crew, "run", watched)
    build_features(joined(bins), workers=2, backend="threading", **SMALL)
    dimensions = 2 * 304
    assert max(sizes.pop("counting")) < 8 * 1.5 * dimensions + 1000
    assert len(sizes["weighting"]) > 8  # parts; each would hold some thousand tokens
    assert max(size for some in sizes.values() for size in some) < 6000
    assert sizes.keys() == {"hashing", "weighting", "joining"}


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_an_error_of_a_worker_is_one_line(bins: list[Path], backend: str, capfd: Any) -> None:
    path = bins[1] / "train.de-en.en.bin"
    tokens = np.fromfile(path, "<u2")
    tokens[-1] = 9999
    tokens.tofile(path)
    arguments = [joined(bins), "--workers", "2", "--backend", backend, "--no-progress"]
    assert main(arguments) == 2
    said = capfd.readouterr().err
    assert said.startswith(f"autoassist-tfidf: error: {path}") and "to 9999, expected" in said
    assert said.count("\n") == 1
    assert not leftovers(bins)


@pytest.mark.parametrize(
    ("backend", "missing", "said"),
    [
        ("nonesuch", "", "backend 'nonesuch' is not available"),
        ("multiprocessing", "", "backend 'multiprocessing' forks .* expected loky"),
        ("ray", "ray", "'ray' needs ray .*pip install ray"),
        ("dask", "distributed", "'dask' needs dask and distributed .*pip install distributed"),
    ],
)
def test_backends_that_are_not_available_are_refused(
    bins: list[Path], backend: str, missing: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if missing:
        monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(FeatureError, match=said) as caught:
        build_features(joined(bins), workers=2, backend=backend, **SMALL)
    assert "\n" not in str(caught.value)
    assert not leftovers(bins)


def started(folder: Path) -> subprocess.Popen:
    """Start a long build by two processes, in a group of its own; returns once it writes."""
    builder = subprocess.Popen(
        [*SLOW_TFIDF, str(folder), "--workers", "2"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    writing = (folder / "autoassist").glob

    def writes() -> bool:
        assert builder.poll() is None
        return any(p.stat().st_size for p in writing(".*/part*/block0.data"))

    try:
        wait_for(writes, 60, "the build to write")
    except BaseException:
        end(builder)
        raise
    return builder


def end(builder: subprocess.Popen) -> None:
    """Kill what is left of the build."""
    try:
        os.killpg(builder.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    builder.communicate(timeout=20)


@pytest.mark.parametrize(
    "number",
    [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow), signal.SIGKILL],
)
def test_no_worker_outlives_the_build(tmp_path: Path, number: signal.Signals) -> None:
    folder = write_data_bin(tmp_path / "bin", 60_000, vocabulary=1000)
    builder = started(folder)
    try:
        processes = children(builder.pid)
        assert len(processes) >= 2
        if number == signal.SIGINT:
            os.killpg(builder.pid, number)  # as a terminal does
        else:
            builder.send_signal(number)
        builder.wait(timeout=30)
        wait_for(lambda: not any(map(alive, processes)), 30, "workers to end")
        said = builder.communicate(timeout=20)[1].decode()
    finally:
        end(builder)
    status = {signal.SIGKILL: -signal.SIGKILL, signal.SIGTERM: 143, signal.SIGINT: 130}[number]
    assert (builder.returncode, "Traceback" in said) == (status, False), said[-3000:]
    assert len(leftovers([folder])) == (1 if number == signal.SIGKILL else 0)
    assert main([str(folder), "--no-progress"]) == 0
    assert leftovers([folder]) == [feature_folder(folder, "train", "de", "en")]


def test_a_worker_that_comes_to_its_first_task_as_an_orphan_ends() -> None:
    task = "import os, time; from fairseq_autoassist.features.workers import _numbered"
    gone = f"{task}; _numbered(0, time.sleep, (60,), os.getppid() + 1)"
    assert subprocess.run([sys.executable, "-c", gone], cwd=ROOT, timeout=30).returncode == 1


def test_a_killed_worker_gives_one_line(tmp_path: Path) -> None:
    folder = write_data_bin(tmp_path / "bin", 60_000, vocabulary=1000)
    builder = started(folder)
    try:
        busy = [pid for pid in children(builder.pid) if not _resource_tracker(pid)]
        os.kill(busy[0], signal.SIGKILL)
        said = builder.communicate(timeout=60)[1].decode()
    finally:
        end(builder)
    last = said.splitlines()[-1]
    assert builder.returncode == 2, said[-3000:]
    assert last.startswith("autoassist-tfidf: error: a worker of backend 'loky' was lost")
    assert "Traceback" not in said and not any(map(alive, busy))
    assert not leftovers([folder])


@pytest.mark.slow
def test_a_dask_cluster_gives_the_same_bits(
    bins: list[Path], monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    distributed = pytest.importorskip("distributed", reason="needs dask: pip install distributed")
    dask = pytest.importorskip("dask")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    build_features(joined(bins), **SMALL)
    wanted = content(bins)
    command = [joined(bins), "--force", "--no-progress", "--backend", "dask"]
    assert main(command) == 2
    assert "expected the address of its scheduler" in capfd.readouterr().err
    # One death of a worker is enough for Dask to give its task up.
    dask_settings = {"distributed.scheduler.allowed-failures": 0}
    with dask.config.set(dask_settings), distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        with distributed.Client(cluster):  # the current client
            build_features(joined(bins), force=True, backend="dask", workers=2, **SMALL)
        assert content(bins) == wanted
        for folder in bins:
            shutil.rmtree(folder / "autoassist")
        with dask.config.set({"scheduler-address": cluster.scheduler_address}):
            assert main(command) == 0  # its own client
            assert content(bins) == wanted
            assert len(leftovers(bins)) == 2
            folder = write_data_bin(bins[0].parent / "long", 60_000, vocabulary=1000)
            killer = _kill_worker_when_writing(folder, cluster)
            with pytest.raises(FeatureError, match="a worker of backend 'dask' was lost"):
                build_features(str(folder), backend="dask", chunk_tokens=60, progress=False)
            killer.join(timeout=10)
            wait_for(lambda: not leftovers([folder]), 10, "the ruins to go")


def _kill_worker_when_writing(folder: Path, cluster: Any) -> threading.Thread:
    def kill() -> None:
        deadline = time.monotonic() + 60
        while not list(folder.glob("autoassist/.*/part*/block0.data")):
            if time.monotonic() > deadline:
                return
            time.sleep(0.05)
        for worker in list(cluster.workers.values()):
            os.kill(worker.process.pid, signal.SIGKILL)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    return thread
