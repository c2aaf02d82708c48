"""Options: which strategy reads which, and what adding a strategy takes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import pytest

from fairseq_autoassist.common import CommonOptions
from fairseq_autoassist.config import AutoAssistConfig, compose, flag
from fairseq_autoassist.core import strategies
from fairseq_autoassist.core.planner import Planner
from fairseq_autoassist.core.strategies import STRATEGIES, Choice, Strategy
from fairseq_autoassist.core.strategies.easy_first import EasyFirstOptions
from fairseq_autoassist.errors import ConfigError
from fairseq_autoassist.options import Options, option
from fairseq_autoassist.unread import readers
from tests.support.planning import make_spec, sizes_of
from tests.support.strategies import CASES, config_of, train

OWN = {
    field.name: field
    for kind in STRATEGIES.values()
    for field in dataclasses.fields(kind.option_class)
}
COMMON = {field.name for field in dataclasses.fields(CommonOptions)}
CURRICULUM = {field.name for field in dataclasses.fields(EasyFirstOptions)}


def another(field):
    """Value in range that is not the default."""
    return type(field.default)(field.default / 2)


def test_every_option_is_common_or_belongs_to_strategies_or_the_wrapper():
    fields = [field.name for field in dataclasses.fields(AutoAssistConfig)]
    assert sorted(fields) == sorted([*COMMON, *OWN, *CURRICULUM])
    assert len(fields) == len(set(fields)) and len(OWN) > 10


@pytest.mark.parametrize("name", OWN)
def test_an_option_is_refused_by_every_strategy_that_does_not_declare_it(name):
    value = another(OWN[name])
    declaring = strategies.declared_by(name)
    said = f"{flag(name)} {value} (read by --autoassist-strategy {' or '.join(declaring)})"
    assert 0 < len(declaring) < len(STRATEGIES)
    for strategy in STRATEGIES:
        if strategy in declaring:
            assert getattr(AutoAssistConfig(strategy, **{name: value}), name) == value
            continue
        with pytest.raises(ConfigError) as error:
            AutoAssistConfig(strategy, **{name: value})
        assert f"--autoassist-strategy {strategy} does not read {said}" in str(error.value)


def test_several_unread_options_are_named_in_one_line():
    with pytest.raises(ConfigError) as error:
        AutoAssistConfig("random", keep=0.5, floor=0.5, timeout=9.0, spl_start=0.5)
    assert str(error.value) == (
        "--autoassist-strategy random does not read "
        "--autoassist-floor 0.5 (read by --autoassist-strategy autoassist or own-loss) and "
        "--autoassist-spl-start 0.5 (read by --autoassist-strategy spl); "
        "leave out what is not read, or choose a strategy that reads it"
    )


BY_PRIOR = (
    "read by --autoassist-strategy "
    "autoassist or competence or spl or infobatch or prior or own-loss"
)


@pytest.mark.parametrize(
    "strategy, options, by",
    [
        ("uniform", {}, BY_PRIOR),
        ("random", {"competence": True, "competence_by": "length"}, BY_PRIOR),
        ("spl", {"prior": "none"}, "read with --autoassist-prior agreement"),
        ("prior", {"prior": "scores.npy"}, "read with --autoassist-prior agreement"),
    ],
)
def test_a_folder_of_features_is_refused_where_nothing_in_it_is_read(strategy, options, by):
    with pytest.raises(ConfigError) as error:
        AutoAssistConfig(strategy, features="folder", **options)
    assert f"does not read --autoassist-features folder ({by})" in str(error.value)


@pytest.mark.parametrize(
    "strategy, options",
    [
        ("autoassist", {"prior": "none"}),
        ("uniform", {"competence": True}),
        ("spl", {}),
        ("prior", {}),
    ],
)
def test_a_folder_of_features_is_read_for_its_rows_rarity_or_prior(strategy, options):
    assert AutoAssistConfig(strategy, features="folder", **options).features == "folder"


@pytest.mark.parametrize("switch", [False, True])
@pytest.mark.parametrize(
    "name, value", [("prior", "scores.npy"), ("prior_floor", 0.5), ("features", "folder")]
)
def test_an_option_of_the_prior_is_refused_where_the_page_does_not_list_it(name, value, switch):
    listed = readers(name, AutoAssistConfig(competence=switch))
    unread = {"uniform", "random"} if name != "features" or not switch else set()
    assert set(listed) == set(STRATEGIES) - unread
    for strategy in STRATEGIES:
        options = {name: value, "competence": switch}
        if strategy in listed:
            AutoAssistConfig(strategy, **options)
            continue
        with pytest.raises(ConfigError, match=f"does not read {flag(name)} "):
            AutoAssistConfig(strategy, **options)


@pytest.mark.parametrize("case", CASES)
def test_every_option_may_be_given_its_default_with_any_strategy(case):
    config = config_of(case)
    assert type(config)(**dataclasses.asdict(config)) == config


# -- a new strategy -------------------------------------------------------------------------------


@dataclass(frozen=True)
class EveryOptions(Options):
    """Options of `Every`."""

    every_nth: int = option(2, "keeps every item whose id is a multiple of it", "a test", low=1)


class Every(Strategy):
    """Strategy that a user adds: this class, and a line in STRATEGIES."""

    about = "keeps every n-th item"
    option_class = EveryOptions
    metric_names = ("nth",)

    def __init__(self, options, corpus):
        super().__init__(options, corpus)
        self._nth = options.every_nth

    def choose(self, ids, point):
        return Choice((ids % self._nth == 0).astype(np.float32), 0.0)

    def metrics(self, point):
        return {"nth": float(self._nth)}


@pytest.fixture
def config_class(monkeypatch):
    """Config class with the options of the new strategy."""
    monkeypatch.setitem(STRATEGIES, "every", Every)
    return compose()


def test_a_new_strategy_takes_a_class_and_a_line(config_class):
    config = config_class("every", every_nth=5)
    spec = dataclasses.replace(make_spec(500), config=config)
    batches = train(Planner(spec), 30)
    ids = np.concatenate([batch.ids for batch in batches])
    assert set(ids.tolist()) == set(range(0, 500, 5))
    assert batches[-1].metrics == {"nth": 5.0}
    assert strategies.metric_names(config) == ("nth",)
    assert "'every' keeps every n-th item" in strategies.described()


def test_the_options_of_a_new_strategy_are_checked_as_all_are(config_class):
    with pytest.raises(ConfigError, match="--autoassist-every-nth is 0, expected at least 1"):
        config_class("every", every_nth=0)
    with pytest.raises(ConfigError, match="every-nth 5 .read by --autoassist-strategy every."):
        config_class("random", every_nth=5)
    with pytest.raises(ConfigError, match="every does not read --autoassist-keep 0.5"):
        config_class("every", keep=0.5)


def test_a_new_strategy_can_begin_with_the_easy_pairs(config_class):
    easy = {"competence": True, "competence_by": "length", "competence_updates": 60}
    spec = dataclasses.replace(make_spec(4000), config=config_class("every", **easy))
    batches = train(Planner(spec), 200)
    early, late = (np.concatenate([b.ids for b in part]) for part in (batches[:10], batches[100:]))
    assert (early % 2 == 0).all() and (late % 2 == 0).all()
    source, _ = sizes_of(spec)
    assert source[early].mean() < 0.7 * source[late].mean()


def test_two_options_of_one_name_are_refused(monkeypatch):
    @dataclass(frozen=True)
    class Taken(Options):
        keep: int = option(2, "another meaning", "a test")

    class Twice(Strategy):
        option_class = Taken

    monkeypatch.setitem(STRATEGIES, "twice", Twice)
    with pytest.raises(TypeError, match="options declared twice: keep"):
        compose()
