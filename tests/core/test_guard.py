"""Guard: when the Assistant is useless, when that is a failure, and when it may shrink again."""

import numpy as np
import pytest

from fairseq_autoassist.core.guard import CLEAN_REPORTS, DOUBTS, ONE_SIDED, PATIENCE, Guard, Outcome
from fairseq_autoassist.core.planner import Planner
from fairseq_autoassist.core.strategies import strategy_class
from tests.core.test_planner import planted
from tests.support.planning import make_spec
from tests.support.strategies import observe, strategy_of, teach


def judge(guard, accuracy, positive=0.5, pairs=100):
    """Report on so many pairs to the guard; returns its message, if any."""
    index = np.arange(pairs)
    found = guard.judge(Outcome(0, index < accuracy * pairs, index < positive * pairs))
    return found[0] if found else None


def test_an_assistant_is_useless_until_it_is_better_than_the_majority():
    guard = Guard(100)
    assert guard.allows
    assert "nothing is skipped" in judge(guard, 0.5).text and not guard.allows
    assert judge(guard, 0.5) is None  # said already
    assert judge(guard, 0.54) is None  # within a standard error of the majority
    assert judge(guard, 0.7).text.endswith(": skipping") and guard.allows
    # the majority class is the measure, not one half
    assert "nothing is skipped" in judge(Guard(100), 0.7, positive=0.3).text


def test_an_assistant_that_was_better_is_useless_only_after_several_verdicts_in_a_row():
    guard = Guard(100)
    judge(guard, 0.7)
    for _ in range(5):  # fewer than DOUBTS in a row
        assert not any(judge(guard, 0.5) for _ in range(DOUBTS - 1)) and guard.allows
        assert judge(guard, 0.7) is None
    said = [judge(guard, 0.5) for _ in range(DOUBTS)]
    assert not any(said[:-1]) and "nothing is skipped" in said[-1].text and not guard.allows
    judge(guard, 0.7)  # trusted again, also after a resume
    resumed = Guard(100)
    resumed.load_state_dict(guard.state_dict())
    assert judge(resumed, 0.5) is None and resumed.allows


def test_a_slow_start_is_no_failure_but_ten_verdicts_in_a_row_are():
    guard = Guard(100)
    said = [judge(guard, 0.5) for _ in range(3)]
    said.append(judge(guard, 0.9))
    assert not any(item.bad for item in said if item)
    said = [judge(guard, 0.5) for _ in range(2 * PATIENCE)]
    assert [number for number, item in enumerate(said, 1) if item and item.bad] == [PATIENCE]


def test_verdicts_on_labels_that_are_nearly_all_the_same_are_no_failure():
    guard, rare = Guard(100), 0.99 - ONE_SIDED  # share of labels 1
    said = [judge(guard, 0.5) for _ in range(PATIENCE - 1)]
    said += [judge(guard, 0.9, positive=rare) for _ in range(2 * PATIENCE)]
    assert "nothing is skipped" in said[0].text and not any(said[1:]) and not guard.allows
    assert judge(guard, 0.5).bad  # the tenth that counts
    assert not any(judge(guard, 0.9, positive=rare) for _ in range(PATIENCE))  # said once
    assert judge(guard, 0.99, positive=0.2).text.endswith(": skipping")


def test_evidence_adds_up_over_reports_and_a_window_of_zero_never_judges():
    guard = Guard(100)
    assert all(judge(guard, 0.0, pairs=10) is None for _ in range(9))
    assert judge(guard, 0.0, pairs=10)
    assert judge(Guard(0), 0.0, pairs=10_000) is None


def test_merged_ranks_have_the_verdict_of_most_and_the_longest_wait():
    def merged(*settings):
        states = [{**Guard(100).state_dict(), **each} for each in settings]
        guard = Guard(100)
        guard.load_state_dict(Guard.merge(states))
        return guard

    useless = {"useless": True, "useless_verdicts": 4}
    assert not merged(useless, useless, {}).allows
    assert merged(useless, {}, {}).allows
    doubted = merged(useless, {}, {}), merged({"trusted": True}, {"trusted": True}, {})
    assert [judge(guard, 0.5) is None for guard in doubted] == [False, True]
    waiting = merged({"clean_reports_due": 7}, {}, {"clean_reports_due": 3})
    assert waiting.clean_reports_due == 7 and not waiting.allows


def test_losses_that_are_not_finite_stop_shrinking_until_enough_reports_are_clean():
    guard = Guard(100)
    assert [message.bad for message in guard.judge(Outcome(2))] == [True] and not guard.allows
    for _ in range(CLEAN_REPORTS // 2):
        guard.judge(Outcome(0))
    assert guard.judge(Outcome(1)) == []  # no message again, but the wait begins again
    for _ in range(CLEAN_REPORTS - 1):
        guard.judge(Outcome(0))
    assert not guard.allows
    guard.judge(Outcome(0))
    assert guard.allows


def judged(planner, first, last):
    """Kept pairs and messages of batches ``first`` .. ``last - 1``.

    Losses are random for 40 batches, then planted for 40, and so on.
    """
    for number in range(first, last):
        batch = planner.plan()
        losses = 1.0 + batch.ids % 2
        if number // 40 % 2 == 0:
            losses = np.random.default_rng(number).random(len(batch.ids))
        planner.receive(number, np.asarray(losses, np.float32))
        yield batch.kept.tolist(), batch.messages


def test_a_resume_keeps_the_evidence():
    """Resumed runs have the same messages and keep the same pairs."""
    # the floor gives uniformly kept pairs to judge by
    spec = make_spec(300, strategy="autoassist", gamma_decay=0.5, guard_pairs=40, floor=0.5)
    features, batches, states = planted(300), 160, {}
    planner, reference = Planner(spec, features), []
    for number in range(batches):
        if number % 13 == 5:
            states[number] = planner.state_dict()
        reference += judged(planner, number, number + 1)
    assert sum(len(said) for _, said in reference) >= 2  # useless, then not
    for number, state in states.items():
        resumed = Planner(spec, features)
        resumed.load_state_dict(state)
        last = min(number + 60, batches)
        assert list(judged(resumed, number, last)) == reference[number:last]


@pytest.mark.parametrize("case", ["spl", "infobatch"])
def test_shrinking_stays_off_on_other_data_after_losses_that_are_not_finite(case):
    first, there = strategy_of(case), strategy_of(case, pairs=300)
    teach(first, 40)
    observe(first, np.arange(4), np.full(4, np.nan, np.float32))
    assert first.failed and not there.failed
    for here in (None, there.state_dict()):
        second = strategy_of(case, pairs=300)
        found = strategy_class(case).on_other_data(first.state_dict(), here)
        second.load_state_dict(found)
        assert second.failed
