"""Report of a run, from a log in fairseq's format."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recipes.common.fairseq_log import NATS_PER_BIT, read, tokens_trained
from recipes.multi30k import report

# Lines as fairseq 0.12.3 writes them to --log-file; those of training have fewer keys here.
HEAD = "Start iterating over samples\n"
INNER = (
    '{{"epoch": {epoch}, "update": 0.5, "loss": "8.382", "nll_loss": "{loss}", "ppl": "202.13", '
    '"wps": "4790.9", "wpb": "1700", "bsz": "117.1", "num_updates": "{update}", '
    '"lr": "0.00125008", "gnorm": "1.164", "clip": "52", "train_wall": "18", "wall": "{wall}"{aa}}}'
)
VALID = (
    'begin validation on "valid" subset\n'
    '{{"epoch": 1, "valid_loss": "8.028", "valid_nll_loss": "{loss}", "valid_ppl": "146.72", '
    '"valid_wps": "10975.7", "valid_wpb": "1208.2", "valid_num_updates": "{update}"}}'
)
EPOCH = (
    "end of epoch 1 (average epoch stats below)\n"
    '{{"epoch": 1, "train_loss": "9.961", "train_nll_loss": "9.477", "train_num_updates": '
    '"{update}", "train_train_wall": "39", "train_wall": "{wall}"{aa}}}'
)
SCORES = {"BLEU": {"score": 12.345, "signature": "nrefs:1|case:mixed"}}


def assisted(update: int, prefix: str = "") -> str:
    """Keys that the plugin adds, cumulative ones included."""
    values = {
        "aa_keep": 0.75,
        "aa_considered": 100 * update,
        "aa_kept": 80 * update,
        "aa_considered_tokens": 2000 * update,
        "aa_kept_tokens": 1750 * update,
        "aa_T": 3.5,
        "aa_gamma": 0.6,
        "aa_acc": 0.71,
        "aa_majority": 0.6,
        "aa_loss": 4.25,
        "aa_wait": 1.5,
    }
    return "".join(f', "{prefix}{key}": "{value}"' for key, value in values.items())


def inner(update: int, aa: bool = False, loss: float = 7.5) -> str:
    return INNER.format(
        epoch=1, update=update, loss=loss, wall=update, aa=assisted(update) if aa else ""
    )


def write_run(folder: Path, aa: bool) -> Path:
    lines = [HEAD, inner(10, aa), inner(20, aa), VALID.format(update=20, loss=7)]
    lines += [EPOCH.format(update=20, wall=21, aa=assisted(20, "train_") if aa else "")]
    lines += [inner(30, aa), VALID.format(update=30, loss=6), "done training in 31.4 seconds"]
    (folder / "train.log").write_text("\n".join(lines) + "\n")
    (folder / "scores.json").write_text(json.dumps(SCORES))
    return folder


def test_reports_are_sorted_by_kind(tmp_path: Path) -> None:
    log = read(write_run(tmp_path, aa=False) / "train.log")
    assert [r["num_updates"] for r in log.inner] == [10, 20, 30]
    assert [(r["num_updates"], r["nll_loss"]) for r in log.valid] == [(20, 7), (30, 6)]
    assert [r["nll_loss"] for r in log.epochs] == [9.477]
    assert log.last("wall") == 30
    assert tokens_trained(log) == [17000, 34000, 51000]


def test_updates_that_a_resumed_run_repeats_count_once(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    first = [inner(10), inner(20), VALID.format(update=20, loss=7), inner(30), inner(40)[:50]]
    second = [inner(30, loss=5), VALID.format(update=30, loss=6), VALID.format(update=30, loss=6)]
    path.write_text("\n".join([*first, *second]))
    log = read(path)
    assert [(r["num_updates"], r["nll_loss"]) for r in log.inner] == [(10, 7.5), (20, 7.5), (30, 5)]
    assert [r["num_updates"] for r in log.valid] == [20, 30]
    with path.open("a") as stream:  # resumed before the first validation
        stream.write("\n" + inner(20, loss=4))
    log = read(path)
    assert [r["num_updates"] for r in log.inner] == [10, 20]
    assert [r["num_updates"] for r in log.valid] == [20]


def test_table_and_picture_of_an_assisted_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report.main(["--run", str(write_run(tmp_path, aa=True))])
    lines = [line.split("  ", 1) for line in capsys.readouterr().out.splitlines() if "  " in line]
    table = {name.strip(): value.strip() for name, value in lines}
    assert table == {
        "pairs considered": "3,000",
        "pairs kept": "2,400 (80.0%)",
        "target tokens considered": "60,000",
        "target tokens kept": "52,500 (87.5%)",
        "target tokens trained on": "51,000",
        "Assistant accuracy": "71.0%",
        "majority-class rate": "60.0%",
        "waited for the Assistant": "1.5 s",
        "updates": "30",
        "training time": "0 min 30 s",
        "BLEU": "12.35   nrefs:1|case:mixed",
    }
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "report.png",
        "report.txt",
        "scores.json",
        "train.log",
    ]


def test_no_accuracy_is_shown_before_the_assistant_learns(tmp_path: Path) -> None:
    log = read(write_run(tmp_path, aa=True) / "train.log")
    for entry in (*log.inner, *log.epochs):
        entry.update(aa_acc=0.0, aa_majority=0.0)
    table = dict(report.rows(log, {}))
    assert table["Assistant accuracy"] == table["majority-class rate"] == "-"
    assert table["pairs kept"] == "2,400 (80.0%)"


def test_the_curves_hold_the_logged_values_by_tokens(tmp_path: Path) -> None:
    log = read(write_run(tmp_path, aa=True) / "train.log")
    assert report.series(log, "aa_T") == ([0.017, 0.034, 0.051], [3.5] * 3)
    assert report.training_loss(log) == ("training, unbiased", [0.017, 0.034, 0.051], [4.25] * 3)
    x, y = report.validation(log)
    assert x == pytest.approx([0.034, 0.051])
    assert y == pytest.approx([7 * NATS_PER_BIT, 6 * NATS_PER_BIT])


def test_plain_run_has_losses_only_and_says_so(tmp_path: Path) -> None:
    run = write_run(tmp_path, aa=False)
    report.main(["--run", str(run)])
    text = (run / "report.txt").read_text()
    assert "off (the log holds no aa_ metrics)" in text
    assert "51,000" in text
    assert "majority" not in text
    assert (run / "report.png").exists()


def test_a_log_without_reports_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"found no .*train.log; expected the log of a run with"):
        report.main(["--run", str(tmp_path)])
    (tmp_path / "train.log").write_text(HEAD)
    with pytest.raises(SystemExit, match="holds no training report; expected"):
        report.main(["--run", str(tmp_path)])


def test_missing_or_damaged_scores_are_refused(tmp_path: Path) -> None:
    run = write_run(tmp_path, aa=True)
    (run / "scores.json").unlink()
    with pytest.raises(SystemExit, match=f"recipes.multi30k.evaluate --data DATA --run {run}`"):
        report.main(["--run", str(run)])
    for content in ("{", "[1]", '{"BLEU": 12.3}', '{"BLEU": {"score": "x"}}', '{"BLEU": {}}'):
        (run / "scores.json").write_text(content)
        with pytest.raises(SystemExit, match=r"scores.json is damaged \(.*: remove it") as error:
            report.main(["--run", str(run)])
        assert "\n" not in str(error.value)
