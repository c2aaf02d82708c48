"""Words per second on a GPU, the plugin against fairseq's own task, and time spent waiting.

    python -m benchmarks.gpu_ratio --budget 150 | grep '^{'

It runs from the root of the checkout. The filter leaves out what fairseq prints. The model is
transformer_iwslt_de_en, the data are Multi30k (``AUTOASSIST_DATA``). In each turn it trains under
the stock task, and under the plugin with shrinking off and on. Turns go on while the budget lasts.
It prints a JSON line for each run, then one for each ratio of medians over runs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for the helpers of the tests

from fairseq_autoassist.cli.tfidf import main as build_features
from tests.support.corpus import make_data_bin, multi30k_pairs, session_folder
from tests.support.training import PLUGIN, STOCK, Process, Run

SKIPPED = 100  # updates, in which libraries warm up and the Assistant's process starts
INTERVAL = 10  # updates between two lines of the log
RUN_LIMIT = 120.0  # seconds after which a run is killed
VARIANTS = {
    "stock": STOCK,
    "uniform": [*PLUGIN, "--autoassist-strategy", "uniform"],
    "autoassist": PLUGIN,
}
MODEL = [
    *["--arch", "transformer_iwslt_de_en", "--dropout", "0.3", "--optimizer", "adam"],
    *["--adam-betas", "(0.9, 0.98)", "--lr", "5e-4", "--lr-scheduler", "inverse_sqrt"],
    *["--warmup-updates", "400", "--fp16", "--max-tokens", "4096", "--num-workers", "2"],
    *["--disable-validation", "--no-save", "--seed", "1", "--distributed-world-size", "1"],
    *["--log-format", "json", "--log-interval", str(INTERVAL)],
]


def data_bin() -> Path:
    """Make a data-bin of Multi30k's training pairs by word, 8,000 types a side, with features."""
    folder = session_folder() / "gpu-ratio"
    pairs = multi30k_pairs("train", 29_000)
    make_data_bin(folder, pairs, (), "--nwordssrc", 8000, "--nwordstgt", 8000)
    if build_features([str(folder)]) != 0:
        raise SystemExit("building features failed")
    return folder


def measure(variant: str, words: list) -> dict:
    """Run a variant; returns its name, the rates of `summary`, and the seconds of the run."""
    started = time.perf_counter()
    process = Process("fairseq_cli.train", [*words, *VARIANTS[variant]], record=False)
    try:
        run = process.wait(RUN_LIMIT).ok()
    finally:
        process.kill_all()
    seconds = round(time.perf_counter() - started, 1)
    return {"variant": variant, **summary(run), "seconds": seconds}


def summary(run: Run) -> dict:
    """Rates after the first `SKIPPED` updates.

    Returns:
        ``wps``: target words per second over all of them, ends of epochs included
        ``wps_median``: median over intervals of `INTERVAL` updates
        ``wait``: share of the time spent waiting for the Assistant, where there is one
        ``wait_at_start``: seconds of waiting in the updates skipped
    """
    lines = [line for line in run.updates if int(line["num_updates"]) > SKIPPED]
    before = [line for line in run.updates if int(line["num_updates"]) <= SKIPPED][-1]
    words = [float(line["wpb"]) * INTERVAL for line in lines]
    seconds = [count / float(line["wps"]) for count, line in zip(words, lines)]
    rates = [float(line["wps"]) for line in lines]
    result = {"wps": sum(words) / sum(seconds), "wps_median": statistics.median(rates)}
    result["updates_per_second"] = INTERVAL * len(lines) / sum(seconds)
    result["words_per_update"] = sum(words) / INTERVAL / len(lines)
    if "aa_wait" in before:
        waited = float(lines[-1]["aa_wait"]) - float(before["aa_wait"])
        result["wait"] = waited / sum(seconds)
        result["wait_at_start"] = float(before["aa_wait"])
        result["saved"] = float(lines[-1]["aa_saved"])
    return {key: round(value, 4) for key, value in result.items()}


def ratios(runs: list[dict], update_freq: int) -> list[dict]:
    """Ratios of medians over the runs of each variant."""

    def median(variant: str, key: str) -> float:
        return statistics.median(run[key] for run in runs if run["variant"] == variant)

    lines = []
    for variant in ("uniform", "autoassist"):
        for key in ("wps", "wps_median"):
            value = round(median(variant, key) / median("stock", key), 4)
            lines.append({"name": f"gpu {key} {variant} / stock", "value": value})
        lines.append({"name": f"gpu waiting, {variant}", "value": median(variant, "wait")})
    count = sum(run["variant"] == "stock" for run in runs)
    return [{**line, "update_freq": update_freq, "runs": count} for line in lines]


def main() -> None:
    """Measure until the budget is spent, for at least two turns."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--budget", type=float, default=150.0, help="seconds, data included")
    parser.add_argument("--updates", type=int, default=400, help="per run")
    parser.add_argument("--update-freq", type=int, default=1)
    arguments = parser.parse_args()
    started = time.perf_counter()
    words = [data_bin(), *MODEL, "--max-update", arguments.updates]
    words += ["--update-freq", arguments.update_freq, "--save-dir", session_folder() / "none"]
    print(json.dumps({"prepared": round(time.perf_counter() - started, 1)}), flush=True)
    runs: list[dict] = []
    turn = 0.0
    while len(runs) < 6 or time.perf_counter() - started + turn < arguments.budget:
        begun = time.perf_counter()
        order = list(VARIANTS) if len(runs) % 2 == 0 else list(VARIANTS)[::-1]
        for variant in order:
            runs.append(measure(variant, words))
            print(json.dumps({**runs[-1], "update_freq": arguments.update_freq}), flush=True)
        turn = time.perf_counter() - begun
    for line in ratios(runs, arguments.update_freq):
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
