"""The control: the share that it keeps, given or recorded."""

import dataclasses
import json

import numpy as np
import pytest

from fairseq_autoassist.config import AutoAssistConfig
from fairseq_autoassist.core.planner import Planner
from fairseq_autoassist.core.strategies import Moment, build_strategy
from fairseq_autoassist.core.strategies.random import Random, recorded_keep_rate
from fairseq_autoassist.errors import ConfigError
from tests.support.planning import make_spec
from tests.support.strategies import RareFeatures, corpus_of, train


def line(update, considered, kept, **more):
    """As fairseq writes it: numbers as text, among others."""
    record = {"epoch": 1, "loss": "3.2", "num_updates": str(update), **more}
    return json.dumps({**record, "aa_considered": str(considered), "aa_kept": str(kept)})


LINES = [line(10, 1000, 1000), line(20, 2000, 1800), line(30, 3000, 2300)]


def write(path, lines, end="\n"):
    path.write_text("\n".join(lines) + end)
    return str(path)


def following(path):
    return build_strategy(AutoAssistConfig(strategy="random", keep_from=str(path)), corpus_of())


def test_goes_on_with_the_rates_it_began_with_though_the_log_has_grown(tmp_path):
    state = following(write(tmp_path / "log", LINES[:2])).state_dict()
    resumed = following(write(tmp_path / "log", LINES))
    for saved, share in ((None, 0.5), ({}, 0.5), (state, 0.8)):  # {}: of an older checkpoint
        if saved is not None:
            resumed.load_state_dict(saved)
        resumed.at(Moment(25, 0.0, 0.0))
        assert resumed.uniform_share == share


def test_a_saved_state_does_without_the_log(tmp_path):
    log = tmp_path / "log"
    state = following(write(log, LINES)).state_dict()
    log.unlink()
    config = AutoAssistConfig(strategy="random", keep_from=str(log))
    Random.check(config, state)
    for without in (None, {}):  # a fresh run, and one that went on from an older checkpoint
        with pytest.raises(ConfigError, match="--autoassist-keep-from .*No such file"):
            Random.check(config, without)
    for stopped in (False, True):  # what goes on after a failure keeps everything
        strategy = following(log)
        if stopped:
            strategy.stop_shrinking()
        strategy.load_state_dict(state)
        strategy.at(Moment(25, 0.0, 0.0))
        assert strategy.uniform_share == (1.0 if stopped else 0.5)
        for saved, first in zip(strategy.state_dict().values(), state.values()):
            np.testing.assert_array_equal(saved, first)


def test_keeps_everything_while_the_update_is_not_known(tmp_path):
    strategy = following(write(tmp_path / "log", LINES))
    strategy.at(Moment(np.inf, 0.0, 0.0))
    assert (strategy.keep_probability(np.arange(9)) == 1.0).all()


@pytest.mark.parametrize("keep", [0.2, 0.6])
def test_keeps_the_share_of_any_pair(keep):
    pairs, passes = 5000, 8
    planner = Planner(make_spec(pairs, strategy="random", keep=keep, chunk=1000))
    kept = []
    while planner.stream.passes < passes:
        kept += train(planner, 1)
    totals = kept[-1].totals
    deviation = np.sqrt(keep * (1 - keep) / totals.considered)
    assert abs(totals.kept / totals.considered - keep) < 5 * deviation
    parts = np.concatenate([batch.pairs for batch in kept])
    assert parts["uniform"].all()  # so that aa_loss is over all that it keeps
    for half in (parts["id"] % 2, parts["id"] < pairs // 2):  # hard ones and early ones alike
        assert abs(half.mean() - 0.5) < 5 * 0.5 / np.sqrt(len(parts))


def test_follows_a_recorded_run_update_by_update(tmp_path):
    strategy = following(write(tmp_path / "log", LINES))
    shares = []
    for update in (0, 5, 10, 10.5, 20, 25, 30, 31, 1000):
        strategy.at(Moment(update, 0.0, 0.0))
        assert (strategy.keep_probability(np.arange(9)) == np.float32(strategy.uniform_share)).all()
        shares.append(strategy.uniform_share)
    assert shares == [1.0, 1.0, 1.0, 0.8, 0.8, 0.5, 0.5, 0.5, 0.5]


@pytest.mark.parametrize("update_freq", [1, 2])
def test_keeps_as_much_as_the_recorded_run(tmp_path, update_freq):
    """A run over the same data: recorded, then followed."""
    pairs = 5000
    spec = make_spec(pairs, strategy="autoassist", gamma_decay=0.9, guard_pairs=0)
    spec = dataclasses.replace(spec, update_freq=update_freq)
    recorded = train(Planner(spec, RareFeatures(pairs)), 600)
    every = 20 * update_freq
    lines = [
        line((b.number + 1) // update_freq, b.totals.considered, b.totals.kept)
        for b in recorded[every - 1 :: every]
    ]
    config = AutoAssistConfig(strategy="random", keep_from=write(tmp_path / "log", lines))
    follower = train(Planner(dataclasses.replace(spec, config=config)), 600)
    assert recorded[-1].totals.kept < 0.8 * recorded[-1].totals.considered
    for at in (299, 599):
        shares = [run[at].totals.kept / run[at].totals.considered for run in (recorded, follower)]
        assert shares[1] == pytest.approx(shares[0], abs=0.03)


def test_a_log_of_a_resumed_run_with_lines_twice_and_the_last_cut_short(tmp_path):
    noise = ["not json", "{", "[1, 2]", "{}", json.dumps({"valid_num_updates": "5"})]
    resumed = [LINES[0], LINES[0], *noise, *LINES[1:], LINES[1], LINES[2], LINES[2][:-9]]
    whole = recorded_keep_rate(write(tmp_path / "whole", LINES))
    broken = recorded_keep_rate(write(tmp_path / "resumed", resumed, end=""))
    for one, other in zip(whole, broken):
        np.testing.assert_array_equal(one, other)


def test_updates_in_which_nothing_was_considered_are_no_share(tmp_path):
    lines = [LINES[0], line(15, 1000, 1000), *LINES[1:]]
    updates, rates = recorded_keep_rate(write(tmp_path / "log", lines))
    assert updates.tolist() == [10, 20, 30] and rates.tolist() == [1.0, 0.8, 0.5]


def test_rates_of_a_large_corpus_are_not_the_rounding_of_the_log(tmp_path):
    """fairseq prints six digits: at 200 million pairs a step of the log is a thousand of them."""
    lines = [
        line(update, f"{2e8 + 1000 * update:g}", f"{0.6 * (2e8 + 1000 * update):g}")
        for update in range(10, 4000, 10)
    ]
    _, rates = recorded_keep_rate(write(tmp_path / "log", lines))
    assert len(rates) > 2 and np.abs(rates - 0.6).max() < 0.002


def test_a_time_in_which_nothing_was_kept_comes_to_an_end(tmp_path):
    lines = [LINES[0], line(20, 2000, 1000), line(30, 3000, 2000)]
    _, rates = recorded_keep_rate(write(tmp_path / "log", lines))
    assert rates.tolist() == [1.0, 0.01, 1.0]


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["2024-01-01 | INFO | no JSON here"],
        [json.dumps({"num_updates": "3", "aa_kept": "9"})],
        [json.dumps({"num_updates": "3", "aa_considered": "9"})],
        [json.dumps({"aa_considered": "9", "aa_kept": "9"})],
        [line(3, 0, 0)],
    ],
)
def test_a_log_that_says_nothing_is_refused(tmp_path, lines):
    path = write(tmp_path / "log", lines)
    config = AutoAssistConfig(strategy="random", keep_from=path)
    with pytest.raises(ConfigError, match="--autoassist-keep-from .*log has no line.*expected"):
        Random.check(config)  # before training
    with pytest.raises(ConfigError):
        following(path).uniform_share  # noqa: B018


def test_a_log_that_cannot_be_read_is_refused(tmp_path):
    for path, why in ((tmp_path / "none", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(ConfigError, match=f"--autoassist-keep-from .*{why}"):
            following(path).state_dict()
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    with pytest.raises(ConfigError, match="has no line"):
        following(tmp_path / "binary").state_dict()
