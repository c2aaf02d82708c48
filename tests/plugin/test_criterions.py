"""Criterions: loss and gradients equal fairseq's bit for bit, and sentence losses are reported."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fairseq.criterions.cross_entropy import CrossEntropyCriterion
from fairseq.criterions.label_smoothed_cross_entropy import LabelSmoothedCrossEntropyCriterion

from fairseq_autoassist.plugin.criterions import (
    PLAN,
    AutoAssistCrossEntropy,
    AutoAssistLabelSmoothedCrossEntropy,
)

PAD, VOCABULARY, WIDTH = 1, 11, 6


class Task:
    """Stand-in for the task: a dictionary, and the losses received."""

    target_dictionary = SimpleNamespace(pad=lambda: PAD)

    def __init__(self):
        self.received, self.session = [], self

    def receive(self, number, losses, order):
        self.received.append((number, losses, order))


class Model(torch.nn.Module):
    """Smallest model: one layer gives the logits of each target position."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(WIDTH, VOCABULARY)

    def forward(self, features):
        return (self.layer(features),)

    def get_normalized_probs(self, net_output, log_probs):
        return torch.log_softmax(net_output[0].float(), -1)

    def get_targets(self, sample, net_output):
        return sample["target"]


def make_sample(sizes=(5, 3, 1, 4), plan=True, **extra):
    torch.manual_seed(1)
    target = torch.full((len(sizes), max(sizes)), PAD)
    for row, size in enumerate(sizes):
        target[row, :size] = torch.randint(2, VOCABULARY, (size,))
    sample = {
        "target": target,
        "ntokens": sum(sizes),
        "net_input": {"features": torch.randn(len(sizes), max(sizes), WIDTH)},
    }
    if plan:
        uniform = torch.tensor([1.0, 0.0] * len(sizes))[: len(sizes)]
        order = np.arange(len(sizes))[::-1].copy()
        sample[PLAN] = {"number": 7, "uniform": uniform, "order": order, **extra}
    return sample


def build(kind, smoothing=0.1, **extra):
    if issubclass(kind, LabelSmoothedCrossEntropyCriterion):
        return kind(Task(), False, smoothing, **extra)
    return kind(Task(), False)


def step(criterion, sample, train=True):
    """Run one step; returns (loss, gradients, log)."""
    model = Model()
    criterion.train(train)
    loss, _, log = criterion(model, sample)
    loss.backward()
    return loss.detach(), [p.grad for p in model.parameters()], log


def row(sample, index):
    size = int(sample["target"][index].ne(PAD).sum())
    target = sample["target"][index : index + 1, :size]
    features = sample["net_input"]["features"][index : index + 1, :size]
    return {"target": target, "ntokens": size, "net_input": {"features": features}}


PAIRS = [
    (AutoAssistCrossEntropy, CrossEntropyCriterion, {}),
    (AutoAssistLabelSmoothedCrossEntropy, LabelSmoothedCrossEntropyCriterion, {}),
    (
        AutoAssistLabelSmoothedCrossEntropy,
        LabelSmoothedCrossEntropyCriterion,
        {"ignore_prefix_size": 1, "report_accuracy": True},
    ),
]


@pytest.mark.parametrize("ours, stock, extra", PAIRS)
def test_loss_and_gradients_are_fairseqs_bit_for_bit(ours, stock, extra):
    loss, gradients, log = step(build(ours, **extra), make_sample())
    stock_loss, stock_gradients, stock_log = step(build(stock, **extra), make_sample(plan=False))
    assert torch.equal(loss, stock_loss)
    for gradient, expected in zip(gradients, stock_gradients):
        assert torch.equal(gradient, expected)
    for key, value in stock_log.items():
        assert log[key] == value


@pytest.mark.parametrize("ours, stock, extra", PAIRS)
def test_sentence_losses_are_those_of_batches_of_one(ours, stock, extra):
    sample, criterion = make_sample(), build(ours, **extra)
    step(criterion, sample)
    ((number, losses, order),) = criterion.task.received
    assert number == 7 and order.tolist() == [3, 2, 1, 0]
    skipped = extra.get("ignore_prefix_size", 0)
    for index in range(4):
        one = row(sample, index)
        if one["ntokens"] <= skipped:
            assert losses[index] == 0
            continue
        _, _, log = step(build(stock, smoothing=0.1, **extra), one)
        nll = log.get("nll_loss", log["loss"])
        torch.testing.assert_close(losses[index], nll / (one["ntokens"] - skipped))


def test_sentence_losses_sum_to_the_loss_of_the_batch():
    criterion = build(AutoAssistLabelSmoothedCrossEntropy)
    sample = make_sample()
    _, _, log = step(criterion, sample)
    losses = criterion.task.received[0][1]
    tokens = sample["target"].ne(PAD).sum(1)
    torch.testing.assert_close((losses * tokens).sum(), log["nll_loss"])
    torch.testing.assert_close(log["aa_uniform_loss"], (losses * tokens)[::2].sum())
    assert log["aa_uniform_tokens"] == tokens[::2].sum()


def test_without_smoothing_it_is_plain_cross_entropy():
    smoothed = build(AutoAssistLabelSmoothedCrossEntropy, smoothing=0.0)
    plain = build(AutoAssistCrossEntropy)
    loss, gradients, _ = step(smoothed, make_sample())
    other, other_gradients, _ = step(plain, make_sample())
    torch.testing.assert_close(loss, other)
    for gradient, expected in zip(gradients, other_gradients):
        torch.testing.assert_close(gradient, expected)
    assert torch.equal(smoothed.task.received[0][1], plain.task.received[0][1])


def test_sentence_losses_are_not_smoothed():
    by_smoothing = []
    for smoothing in (0.0, 0.3):
        criterion = build(AutoAssistLabelSmoothedCrossEntropy, smoothing=smoothing)
        step(criterion, make_sample())
        by_smoothing.append(criterion.task.received[0][1])
    assert torch.equal(*by_smoothing)


def test_padding_does_not_change_sentence_losses():
    narrow, wide = build(AutoAssistCrossEntropy), build(AutoAssistCrossEntropy)
    sample = make_sample((3, 2))
    step(narrow, sample)
    padded = make_sample((3, 2))
    padded["target"] = torch.nn.functional.pad(padded["target"], (0, 4), value=PAD)
    features = padded["net_input"]["features"]
    padded["net_input"]["features"] = torch.nn.functional.pad(features, (0, 0, 0, 4))
    step(wide, padded)
    torch.testing.assert_close(narrow.task.received[0][1], wide.task.received[0][1])


@pytest.mark.parametrize("ours", [AutoAssistCrossEntropy, AutoAssistLabelSmoothedCrossEntropy])
def test_nothing_is_reported_in_validation_or_without_a_plan(ours):
    criterion = build(ours)
    step(criterion, make_sample(), train=False)
    step(criterion, make_sample(plan=False))
    assert criterion.task.received == []


@pytest.mark.parametrize("ours, stock, extra", PAIRS)
def test_weights_multiply_the_gradients_of_sentences(ours, stock, extra):
    weights = torch.tensor([2.0, 0.5, 1.0, 0.0])
    criterion = build(ours, **extra)
    _, gradients, _ = step(criterion, make_sample(weight=weights))
    sample = make_sample()
    expected = [torch.zeros_like(g) for g in gradients]
    for index, weight in enumerate(weights):
        for total, part in zip(expected, step(build(stock, **extra), row(sample, index))[1]):
            total += weight * part
    for gradient, total in zip(gradients, expected):
        torch.testing.assert_close(gradient, total)


def test_the_class_name_is_fairseqs_so_that_either_loads_the_others_checkpoints():
    assert AutoAssistCrossEntropy.__name__ == CrossEntropyCriterion.__name__
    smoothed = AutoAssistLabelSmoothedCrossEntropy
    assert smoothed.__name__ == LabelSmoothedCrossEntropyCriterion.__name__
