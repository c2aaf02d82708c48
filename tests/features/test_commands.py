"""Commands that mend features, as error messages name them."""

from fairseq_autoassist.features.commands import (
    build_command,
    feature_folder,
    mending_command,
    side_command,
)


def test_mending_command_names_what_is_not_default() -> None:
    here = feature_folder("my bin", "train2", "en", "de")
    assert mending_command(here) == (
        "autoassist-tfidf 'my bin' --source-lang en --target-lang de --train-subset train2"
    )
    elsewhere = feature_folder("bin", "train", "en", "de", root="feat")
    assert mending_command(elsewhere) == (
        "autoassist-tfidf DATA_BIN --source-lang en --target-lang de --dest feat"
    )
    dashes = feature_folder("bin", "train", "zh-CN", "en")  # two ways to split train.zh-CN-en
    assert mending_command(dashes) == "autoassist-tfidf bin"


def test_the_agreement_command_has_the_options_of_the_features() -> None:
    build = build_command("my bin", "mono", ("en", "de"), "/features")
    assert side_command("autoassist-agreement", build) == (
        "autoassist-agreement 'my bin' --source-lang en --target-lang de --train-subset mono "
        "--dest /features"
    )
