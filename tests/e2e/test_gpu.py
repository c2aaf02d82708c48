"""Runs on a GPU: equal batches and losses, exact resume, fp16, AMP, no added synchronisation."""

import contextlib
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fairseq.data import Dictionary

from fairseq_autoassist.core.ledger import Ledger
from fairseq_autoassist.plugin.config import TranslationAutoAssistConfig
from fairseq_autoassist.plugin.criterions import PLAN, AutoAssistLabelSmoothedCrossEntropy
from fairseq_autoassist.plugin.session import Session
from fairseq_autoassist.plugin.task import TranslationAutoAssistTask
from fairseq_autoassist.tensors import from_checkpoint
from tests.e2e.test_strategies import of_made_updates, traced, trained
from tests.support.checkpoints import checkpoint_state
from tests.support.training import PLUGIN, SHRINK, data_bin, find, train

pytestmark = [
    pytest.mark.timeout(280),
    pytest.mark.skipif(
        not torch.cuda.is_available(), reason="needs a GPU: torch.cuda.is_available() is False"
    ),
]
LAG = 32  # micro-batches planned before the first report counts: the same in every run
PAD, WIDTH, VOCABULARY = 1, 64, 1000
BUSY = 3_000_000_000  # clock ticks, at least a second, that a GPU is kept busy


def gpu_train(folder, *words):
    """Train with shrinking on the GPU; the last checkpoint stays in the folder."""
    words = [*PLUGIN, *SHRINK, "--disable-validation", "--no-epoch-checkpoints", *words]
    result = train(data_bin(), folder, *words, gpu=True).ok()
    assert find(result, "capabilities ="), "fairseq names the GPU that it trains on"
    return result


def reports_in(folder):
    """Number of micro-batches that were reported, by the last checkpoint."""
    state = checkpoint_state(folder / "checkpoint_last.pt")["extra_state"]["train_iterator"]
    (rank,) = state["autoassist"]["ranks"]
    return from_checkpoint(rank)["shards"][0]["exchange"]["trained"]


def numbers(run):
    return [batch["number"] for batch in run.batches]


# -- whole runs -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Run in fp32 that plans in a process, without loader workers."""
    folder = tmp_path_factory.mktemp("reference")
    result = gpu_train(folder, "--max-update", 70)
    assert float(result.updates[-1]["aa_saved"]) > 0.05  # it did shrink
    assert numbers(result) == list(range(70)) and reports_in(folder) == 70
    assert len(set(result.losses())) == 70  # all differ, so equal losses below mean equal runs
    return result


@pytest.mark.parametrize(
    "extra", [["--autoassist-inline"], ["--num-workers", 2, "--data-buffer-size", 10]]
)
def test_same_batches_and_losses_inline_and_with_loader_workers(reference, tmp_path, extra):
    other = gpu_train(tmp_path, "--max-update", 70, *extra)
    assert other.ids() == reference.ids()
    assert other.losses() == reference.losses()


def test_resumes_exactly(reference, tmp_path):
    first = gpu_train(tmp_path, "--max-update", 45)
    rest = gpu_train(tmp_path, "--max-update", 70)
    assert len(first.ids()) == 45 and len(rest.ids()) == 25
    assert first.ids() + rest.ids() == reference.ids()
    assert first.losses() + rest.losses() == reference.losses()


@pytest.mark.parametrize("update_freq", [1, 2])
def test_fp16_reports_every_micro_batch_once_though_the_loss_overflows(
    reference, tmp_path, update_freq
):
    words = ["--fp16", "--fp16-init-scale", 2**22, "--update-freq", update_freq]
    words += ["--autoassist-trace", tmp_path / "trace"]
    result = gpu_train(tmp_path, "--max-update", 50, *words)
    overflows = result.output.count("gradient overflow detected")
    assert overflows >= 3, "expected overflows: the scale begins far too large"
    count = (50 + overflows) * update_freq  # batches of an update that overflows are reported too
    assert numbers(result) == list(range(count))
    assert reports_in(tmp_path) == count
    assert traced(tmp_path / "trace") == trained(of_made_updates(result, update_freq))
    assert result.ids()[:LAG] == reference.ids()[:LAG]
    assert_it_learns(result)


@pytest.mark.parametrize("update_freq", [1, 2])
def test_amp_retries_are_not_reported_again(reference, tmp_path, update_freq):
    words = ["--amp", "--amp-batch-retries", 2, "--fp16-init-scale", 2**22]
    words += ["--autoassist-trace", tmp_path / "trace"]
    result = gpu_train(tmp_path, "--max-update", 50, *words, "--update-freq", update_freq)
    assert find(result, "AMP: overflow detected") and find(result, "AMP: skipping this batch")
    seen = list(dict.fromkeys(numbers(result)))
    assert len(numbers(result)) > len(seen), "expected some micro-batches to be run again"
    assert seen == list(range(len(seen))) and reports_in(tmp_path) == len(seen)
    assert traced(tmp_path / "trace") == trained(of_made_updates(result, update_freq))
    ids = {}
    for batch in result.batches:
        assert ids.setdefault(batch["number"], batch["ids"]) == batch["ids"]
    assert list(ids.values())[:LAG] == reference.ids()[:LAG]
    assert_it_learns(result)


def assert_it_learns(run):
    """Assert that reports arrive: T_k moves, and an accuracy is logged."""
    thresholds, accuracies, losses = (logged(run, name) for name in ("aa_T", "aa_acc", "aa_loss"))
    assert len(set(thresholds)) > 5 and all(0.5 < value < 20 for value in thresholds[5:])
    assert 0.0 < accuracies[-1] <= 1.0
    assert len(losses) > 5 and np.isfinite(losses).all()


def logged(run, name):
    """Values of a metric, without the updates for which fairseq logs None."""
    return [float(update[name]) for update in run.updates if update.get(name) is not None]


# -- one step in this process ---------------------------------------------------------------------


class Model(torch.nn.Module):
    """Smallest model, one layer: the tests are of the criterion."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(WIDTH, VOCABULARY)

    def forward(self, features):
        return (self.layer(features),)

    def get_normalized_probs(self, net_output, log_probs):
        return torch.log_softmax(net_output[0], -1, dtype=torch.float32)

    def get_targets(self, sample, net_output):
        return sample["target"]

    def set_num_updates(self, count):
        pass


class Step:
    """Training step of the plugin's task, without data, with a model and criterion on a device."""

    def __init__(self, device, dtype=torch.float16):
        self.posted = {}
        words = Dictionary()
        assert words.pad() == PAD
        self.task = TranslationAutoAssistTask(TranslationAutoAssistConfig(), words, words)
        exchange = SimpleNamespace(
            ledger=Ledger(),
            report=lambda number, losses, _: self.posted.update({number: losses}),
            failure=None,
            waited=0.0,
        )
        self.session = Session(exchange)
        self.task._iterator = SimpleNamespace(session=self.session)
        self.criterion = AutoAssistLabelSmoothedCrossEntropy(self.task, False, 0.1)
        self.model = Model().to(device, dtype)
        self.device, self.dtype = device, dtype

    def sample(self, number, rows=24, length=12):
        """Planned sample with rows of several lengths, in another order than the planned one."""
        random = np.random.default_rng(number)
        target = random.integers(2, VOCABULARY, (rows, length))
        target[np.arange(length) >= random.integers(1, length + 1, rows)[:, None]] = PAD
        features = torch.from_numpy(random.standard_normal((rows, length, WIDTH)))
        plan = {
            "number": number,
            "order": random.permutation(rows),
            "uniform": torch.from_numpy((random.random(rows) < 0.5).astype("f4")).to(self.device),
        }
        return {
            "target": torch.from_numpy(target).to(self.device),
            "ntokens": int((target != PAD).sum()),
            "net_input": {"features": features.to(self.device, self.dtype)},
            PLAN: plan,
        }

    def run(self, sample):
        """Run forward and backward as fairseq's trainer does."""
        optimizer = SimpleNamespace(backward=lambda loss: loss.backward())
        return self.task.train_step(sample, self.model, self.criterion, optimizer, 0)


@pytest.fixture
def step():
    """Step after warm-up: libraries are loaded, and pinned memory is allocated."""
    step = Step("cuda")
    buffers = [torch.empty(24, pin_memory=True) for _ in range(64)]
    del buffers  # they stay in torch's cache: to get new ones from the driver may wait for the GPU
    for number in range(3):
        step.run(step.sample(number))
    step.session.flush()
    torch.cuda.synchronize()
    return step


@contextlib.contextmanager
def busy_gpu():
    """Queue a second of work on the GPU before the work of the block.

    Code of the block that waits for the GPU finds it idle afterwards.
    """
    torch.cuda.synchronize()
    torch.cuda._sleep(BUSY)
    try:
        yield
    finally:
        torch.cuda.synchronize()


@contextlib.contextmanager
def forbidden_to_synchronise():
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def still_busy():
    return not torch.cuda.current_stream().query()


def test_a_step_does_not_synchronise(step):
    sample = step.sample(3)
    with busy_gpu(), forbidden_to_synchronise():
        step.run(sample)
        assert still_busy()


def test_what_does_synchronise_is_noticed(step):
    """Copy the losses at once, as a negative control: both checks must notice the wait."""
    put = step.session.receive
    step.session.receive = lambda number, losses, order: put(number, losses.cpu(), order)
    samples = [step.sample(3), step.sample(4)]
    with busy_gpu():
        step.criterion(step.model, samples[0])
        assert not still_busy()
    with forbidden_to_synchronise(), pytest.raises(RuntimeError, match="synchroniz"):
        step.criterion(step.model, samples[1])


def test_micro_batches_of_one_update_do_not_wait_for_each_other(step):
    samples = [step.sample(number) for number in range(3, 7)]  # --update-freq 4
    with busy_gpu():
        for sample in samples:
            step.run(sample)
        assert still_busy()
    step.session.flush()
    assert list(step.posted) == list(range(7))


def test_posting_after_the_update_does_not_wait_and_gives_the_losses(step):
    """Keep many copies waiting at once: no buffer may be reused before its losses are read."""
    count = 40
    samples = [step.sample(number) for number in range(3, count)]
    with busy_gpu():
        for sample in samples:
            step.criterion.train()
            step.criterion(step.model, sample)
        assert still_busy()
    started = time.perf_counter()
    step.session.flush()
    assert time.perf_counter() - started < 0.05
    assert list(step.posted) == list(range(count))
    on_cpu = Step("cpu", torch.float32)
    for number in range(count):
        on_cpu.run(on_cpu.sample(number))
    on_cpu.session.flush()
    for number in range(count):
        np.testing.assert_allclose(step.posted[number], on_cpu.posted[number], rtol=0.01)
