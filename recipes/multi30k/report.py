"""Make a short table and a picture of one run, from its fairseq log and its scores.

python -m recipes.multi30k.report --run runs/multi30k/autoassist
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from preprocess.text import UserError, whole_files
from recipes.common.fairseq_log import NATS_PER_BIT, Log, read, tokens_trained
from recipes.common.jsonfile import read_json
from recipes.common.picture import save_png


def count(value: float | None) -> str:
    """A number with thousands separated, without decimals; a dash for None."""
    return "-" if value is None else f"{value:,.0f}"


def share(value: float | None) -> str:
    """A share in percent; a dash for None."""
    return "-" if value is None else f"{100 * value:.1f}%"


def of(part: float | None, whole: float | None) -> str:
    """Format "part (share of whole)"."""
    return f"{count(part)} ({share(part / whole)})" if part is not None and whole else count(part)


def minutes(seconds: float | None) -> str:
    """Seconds as minutes and seconds; a dash for None."""
    return "-" if seconds is None else f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"


def load_scores(path: Path) -> dict[str, tuple[float, str]]:
    """Read the scores of evaluate.py: metric -> score, signature.

    Raises:
        UserError: the file is missing or damaged
    """
    if not path.is_file():
        raise UserError(
            f"found no {path}; expected the scores of a run: run `python -m "
            f"recipes.multi30k.evaluate --data DATA --run {path.parent}`"
        )
    try:
        scores = read_json(path)
        return {name: (float(x["score"]), str(x["signature"])) for name, x in scores.items()}
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} is damaged ({type(error).__name__}: {error}); expected the scores of "
            f"`python -m recipes.multi30k.evaluate`: remove it and run that again"
        ) from error


def rows(log: Log, scores: dict[str, tuple[float, str]]) -> list[tuple[str, str]]:
    """Return the rows of the table; a plain run has no figures of AutoAssist, and a row says so."""
    table = []
    if log.last("aa_considered") is None:
        table.append(("AutoAssist", "off (the log holds no aa_ metrics)"))
    else:
        pairs, tokens = log.last("aa_considered"), log.last("aa_considered_tokens")
        majority = log.last("aa_majority") or None  # 0 until something is learned
        table += [
            ("pairs considered", count(pairs)),
            ("pairs kept", of(log.last("aa_kept"), pairs)),
            ("target tokens considered", count(tokens)),
            ("target tokens kept", of(log.last("aa_kept_tokens"), tokens)),
            ("Assistant accuracy", share(log.last("aa_acc") if majority else None)),
            ("majority-class rate", share(majority)),
            ("waited for the Assistant", f"{log.last('aa_wait') or 0:.1f} s"),
        ]
    table.append(("target tokens trained on", count(tokens_trained(log)[-1])))
    table.append(("updates", count(log.inner[-1]["num_updates"])))
    table.append(("training time", minutes(log.last("wall"))))
    for name, (score, signature) in scores.items():
        table.append((name, f"{score:.2f}   {signature}"))
    return table


def format_table(table: list[tuple[str, str]]) -> str:
    """Lines of names and values, names padded to one width."""
    width = max(len(name) for name, _ in table)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in table)


def series(log: Log, key: str) -> tuple[list[float], list[float]]:
    """Return (million target tokens trained on, value) of every training report with the key."""
    points = [(x / 1e6, r[key]) for x, r in zip(tokens_trained(log), log.inner) if key in r]
    return [x for x, _ in points], [y for _, y in points]


def validation(log: Log) -> tuple[list[float], list[float]]:
    """Return the validation loss (nats/token) at the tokens trained on when it was measured."""
    updates = [report["num_updates"] for report in log.inner]
    losses = [report for report in log.valid if "nll_loss" in report]
    at = np.interp([r["num_updates"] for r in losses], [0, *updates], [0, *tokens_trained(log)])
    return list(at / 1e6), [r["nll_loss"] * NATS_PER_BIT for r in losses]


def training_loss(log: Log) -> tuple[str, list[float], list[float]]:
    """Return (label, x, nats/token): the plugin's unbiased loss, else fairseq's own in nats."""
    x, y = series(log, "aa_loss")
    if y:
        return "training, unbiased", x, y
    x, y = series(log, "nll_loss")
    return "training", x, [loss * NATS_PER_BIT for loss in y]


def draw(log: Log, path: Path) -> None:
    """Write the picture: losses, and for an AutoAssist run the Assistant's metrics."""
    import matplotlib

    matplotlib.use("Agg")  # no display needed
    from matplotlib import pyplot

    assisted = log.last("aa_considered") is not None
    figure, axes = pyplot.subplots(
        1 + 2 * assisted, 1, figsize=(8, 3 + 5 * assisted), sharex=True, squeeze=False
    )
    losses = axes[-1][0]
    label, x, y = training_loss(log)
    losses.plot(x, y, label=label)
    losses.plot(*validation(log), "o-", label="validation")
    losses.set_ylabel("loss (nats/token)")
    losses.set_xlabel("million target tokens trained on")
    if assisted:
        chosen = (("aa_keep", "keep rate"), ("aa_gamma", "$\\gamma_k$"))
        for key, name in (*chosen, ("aa_acc", "accuracy"), ("aa_majority", "majority class")):
            axes[0][0].plot(*series(log, key), label=name, ls="--" if "major" in key else "-")
        axes[0][0].set_ylim(0, 1.02)
        axes[0][0].set_ylabel("share")
        axes[1][0].plot(*series(log, "aa_T"), label="threshold $T_k$")
        axes[1][0].set_ylabel("nats/token")
    for (axis,) in axes:
        axis.legend(loc="best", fontsize="small")
        axis.grid(alpha=0.3)
    figure.tight_layout()
    save_png(figure, path, dpi=120)


def report(run: Path) -> None:
    """Print the table of a run and write report.txt and report.png into its folder."""
    log = read(run / "train.log")
    table = format_table(rows(log, load_scores(run / "scores.json")))
    draw(log, run / "report.png")
    with whole_files(run / "report.txt") as (stream,):
        stream.write(table + "\n")
    print(f"\n{table}\n\npicture: {run / 'report.png'}", flush=True)


def main(arguments: list[str] | None = None) -> None:
    """Write table and picture of a run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run", type=Path, required=True, help="folder of train.sh")
    report(parser.parse_args(arguments).run)


if __name__ == "__main__":
    main()
