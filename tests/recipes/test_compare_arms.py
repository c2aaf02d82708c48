"""Arms of the comparison: their flags do not depend on the plugin's defaults."""

from __future__ import annotations

import dataclasses

import pytest

from fairseq_autoassist.config import AutoAssistConfig, flag
from fairseq_autoassist.core.strategies import begins_easily, needs_of
from fairseq_autoassist.core.strategies.autoassist import PAPERS_RULE
from recipes.compare.arms import ARMS
from tests.support.training import PAPER

FIELDS = {flag(field.name): field for field in dataclasses.fields(AutoAssistConfig)}
OURS = [n for n, arm in ARMS.items() if {"autoassist", "own-loss"} & set(arm.flags)]
BAND = {"lower": 0.3, "upper": 1.25, "floor": 0.3}
RULES = {
    "band": BAND,
    "band-unguarded": BAND,
    "band-sharp": {**BAND, "floor": 0.1},
    "band-competence": BAND,
    "own-loss": {**BAND, "floor": 0.1},
    "paper": {},
    "paper-competence": {"floor": 0.3},
}


def settings_of(name: str) -> dict[str, object]:
    """Fields that the flags of an arm set; fails where a flag is given twice."""
    words = iter(ARMS[name].words)
    found: dict[str, object] = {}
    for word in words:
        field = FIELDS[word]
        assert field.name not in found, word
        switch = field.default is False
        found[field.name] = True if switch else type(field.default)(next(words))
    return found


def test_the_rules_cover_every_arm_of_autoassist() -> None:
    assert set(RULES) == set(OURS)


@pytest.mark.parametrize("name", OURS)
def test_an_arm_sets_every_option_of_its_rule(name: str) -> None:
    settings = settings_of(name)
    assert {key: settings[key] for key in PAPERS_RULE} == {**PAPERS_RULE, **RULES[name]}


@pytest.mark.parametrize("name", ARMS)
def test_an_arm_sets_only_options_that_its_strategy_reads(name: str) -> None:
    settings = settings_of(name)
    # The class refuses an option that the strategy does not read.
    found = vars(AutoAssistConfig(**settings))  # type: ignore[arg-type]
    assert {key: found[key] for key in settings} == settings


def test_the_default_is_the_band_with_a_prior() -> None:
    band = settings_of("band")
    assert band.pop("prior") == "none"
    assert AutoAssistConfig(**band) == AutoAssistConfig()  # type: ignore[arg-type]
    assert settings_of("default") == {}


@pytest.mark.parametrize("name", ARMS)
def test_an_arm_has_features_exactly_where_its_strategy_or_prior_reads_some(name: str) -> None:
    config = AutoAssistConfig(**settings_of(name))  # type: ignore[arg-type]
    needs, arm = needs_of(config), ARMS[name]
    rarity = begins_easily(config) and config.competence_by == "rarity"
    assert bool(arm.features) == (needs.features or rarity or arm.reads_prior)


def test_the_flags_of_the_papers_rule_in_tests_are_the_packages():
    named = dict(zip(PAPER[::2], map(float, PAPER[1::2])))
    assert named == {flag(name): value for name, value in PAPERS_RULE.items()}
