"""The arms of the comparison: what each trains does not move with the plugin's defaults."""

from __future__ import annotations

import dataclasses

import pytest

from fairseq_autoassist.config import AutoAssistConfig, flag
from fairseq_autoassist.core.strategies.autoassist import PAPERS_RULE
from recipes.compare.arms import ARMS
from tests.support.training import PAPER

FIELDS = {flag(field.name): field for field in dataclasses.fields(AutoAssistConfig)}
OURS = [name for name, arm in ARMS.items() if "autoassist" in arm.flags]
BAND = {"lower": 0.3, "upper": 1.25, "floor": 0.3}
RULES = {
    "floor": {"floor": 0.5},
    "middle": {"floor": 0.3},
    "guarded": {"floor": 0.3, "upper": 2.0},
    "inverse": {"floor": 0.2},
    "inverse-loss": {"floor": 0.2},
    "loss": {"floor": 0.3},
    "band": {"floor": 0.3},
    "easy-first": {"floor": 0.3},
    "easy": BAND,
    "easy-unguarded": BAND,
    "easy-sharp": {**BAND, "floor": 0.1},
    "easy-loss": BAND,
    "paper": {},
    "easy-competence": BAND,
    "easy-competence-short": BAND,
    "hard-competence": {"floor": 0.3},
    "progress": {"floor": 0.3},
    "excess": {"floor": 0.3},
    "prior-assistant": {**BAND, "floor": 0.1},
    "prior-assistant-floor3": BAND,
}


def settings_of(name: str) -> dict[str, object]:
    """The fields that the flags of an arm set; a flag said twice is an error."""
    words = iter(ARMS[name].words(1000))
    found: dict[str, object] = {}
    for word in words:
        field = FIELDS[word]
        assert field.name not in found, word
        switch = field.default is False
        found[field.name] = True if switch else type(field.default)(next(words))
    return found


def test_every_arm_of_autoassist_has_its_rule_here() -> None:
    assert set(RULES) == set(OURS)


@pytest.mark.parametrize("name", OURS)
def test_an_arm_says_its_rule_itself(name: str) -> None:
    settings = settings_of(name)
    assert {key: settings[key] for key in PAPERS_RULE} == {**PAPERS_RULE, **RULES[name]}
    AutoAssistConfig(**settings)  # type: ignore[arg-type]


def test_shares_of_a_run_go_with_its_length() -> None:
    assert settings_of("easy-competence-short")["competence_updates"] == 100
    assert settings_of("middle")["warmup_updates"] == 100


def test_the_best_arm_is_the_default() -> None:
    best = settings_of("prior-assistant-floor3")
    assert AutoAssistConfig(**best) == AutoAssistConfig()  # type: ignore[arg-type]
    assert settings_of("default") == {}
    assert settings_of("easy") == {**{k: best[k] for k in settings_of("easy")}, "prior": "none"}


def test_the_tests_runs_by_the_papers_rule_are_by_it():
    named = dict(zip(PAPER[::2], map(float, PAPER[1::2])))
    assert named == {flag(name): value for name, value in PAPERS_RULE.items()}
