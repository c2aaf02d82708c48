"""Learning in real runs: easy pairs are skipped, and unpredictable losses are reported."""

import numpy as np
import pytest

from fairseq_autoassist.cli.tfidf import main as build_features
from tests.support.corpus import make_data_bin
from tests.support.training import PAPER, PLUGIN, find, train

pytestmark = pytest.mark.timeout(120)
PAIRS = 600
QUIET = ["--disable-validation", "--no-save", "--autoassist-gamma-decay", "0.9"]


def sentence(rng, prefix, words, length=6):
    return " ".join(f"{prefix}{word}" for word in rng.integers(0, words, length))


def make_data(folder, pair_of):
    rng = np.random.default_rng(0)
    pairs = [pair_of(rng, number) for number in range(PAIRS)]
    make_data_bin(folder, pairs)
    assert build_features([str(folder)]) == 0
    return folder


def test_by_the_papers_rule_a_planted_easy_half_is_found_and_skipped(tmp_path):
    """Give even pairs source words of their own and one target, and odd pairs random words."""

    def pair(rng, number):
        if number % 2 == 0:
            return sentence(rng, "easy", 30), "ja ja ja ja ja ja"
        return sentence(rng, "hard", 30), sentence(rng, "wort", 200)

    data = make_data(tmp_path / "data", pair)
    result = train(data, tmp_path, *PLUGIN, *PAPER, *QUIET, "--max-update", 600).ok()
    last = result.updates[-1]
    # most kept pairs are hard, and chance decides which of these lie above T_k
    assert float(last["aa_acc"]) > float(last["aa_majority"]) + 0.05
    assert float(last["aa_keep"]) < 0.75
    late = [i % 2 for ids in result.ids()[-200:] for i in ids]
    early = [i % 2 for ids in result.ids()[:40] for i in ids]
    assert np.mean(early) == pytest.approx(0.5, abs=0.1)  # nothing is shrunk at the start
    assert np.mean(late) > 0.7
    # the loss over the uniform slice is unbiased: it is below that over all kept pairs
    biased = float(last["nll_loss"]) * np.log(2)
    unbiased = np.mean([float(u["aa_loss"]) for u in result.updates[-100:] if u["aa_loss"]])
    assert unbiased < biased


def test_by_default_what_is_learned_and_what_is_far_too_hard_is_skipped(tmp_path):
    """Give a third of the pairs one target, a third targets of few words, a third of many."""

    def pair(rng, number):
        prefix, words = (("one", 1), ("few", 4), ("many", 400))[number % 3]
        return sentence(rng, prefix + "source", 30), sentence(rng, prefix, words)

    data = make_data(tmp_path / "data", pair)
    words = [*PLUGIN, *QUIET, "--autoassist-guard-pairs", 500, "--max-update", 600]
    result = train(data, tmp_path, *words).ok()
    last = result.updates[-1]
    # at first all labels are 1
    assert find(result, "the Assistant is no better than the majority class")
    assert find(result, "the Assistant has become better than the majority class")
    assert float(last["aa_acc"]) > float(last["aa_majority"]) + 0.05
    # two thirds are not useful, and the floor keeps 0.3 of these
    assert float(last["aa_keep"]) < 0.7
    kinds = [i % 3 for ids in result.ids()[-150:] for i in ids]
    assert kinds.count(1) > 1.4 * max(kinds.count(0), kinds.count(2))
    early = [i % 3 for ids in result.ids()[:30] for i in ids]
    assert np.mean(np.array(early) == 1) == pytest.approx(1 / 3, abs=0.1)


def test_where_nothing_is_predictable_it_says_so_and_keeps_nearly_everything(tmp_path):
    """Give all pairs the same words in different orders, hence equal TF-IDF features."""

    def pair(rng, number):
        return tuple(" ".join(f"{p}{word}" for word in rng.permutation(9)) for p in ("w", "wort"))

    data = make_data(tmp_path / "data", pair)
    words = [*PLUGIN, *QUIET, "--autoassist-guard-pairs", 500, "--lr", 0.001]
    result = train(data, tmp_path, *words, "--max-update", 400).ok()
    assert find(result, "the Assistant is no better than the majority class")
    considered, kept = (
        [float(u[key]) for u in result.updates] for key in ("aa_considered", "aa_kept")
    )
    late = (kept[-1] - kept[200]) / (considered[-1] - considered[200])
    assert late > 0.9
