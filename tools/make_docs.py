"""Write the tables of docs/options.md and docs/metrics.md from the code.

    python -m tools.make_docs

A table stands between `<!-- made by tools/make_docs.py -->` and `<!-- end -->`. The text
around it is written by hand. `tests/test_docs.py` fails where a page differs from the code.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

from fairseq_autoassist.config import AutoAssistConfig, flag
from fairseq_autoassist.core.strategies import STRATEGIES, metric_names
from fairseq_autoassist.core.strategies.easy_first import METRIC, SWITCH
from fairseq_autoassist.unread import readers

DOCS = Path(__file__).resolve().parents[1] / "docs"
LINKS = {
    "docs/results.md": "[results](results.md)",
    "docs/method.md": "[method](method.md#the-defaults-and-why)",
}
BEGIN, END = "<!-- made by tools/make_docs.py -->\n", "<!-- end -->"

# metric -> (unit, meaning)
METRICS = {
    "keep": (
        "share",
        "share of the considered pairs that were kept, a moving average over about an eighth of a "
        "pass. It begins at 1, or at the mean prior",
    ),
    "saved": ("share", "share of the target tokens considered in the whole run that were skipped"),
    "pass": (
        "passes",
        "position in the stream of the current data-bin: 2.25 is a quarter into the third pass",
    ),
    "T": (
        "nats/token",
        "T_k, the moving average of losses; the limits of the labels are multiples of it",
    ),
    "gamma": (
        "share",
        "gamma_k, the weight of the Assistant's prediction; 0 while nothing is skipped",
    ),
    "acc": (
        "share",
        "the Assistant's accuracy on pairs before learning from them, a moving average. It is over "
        "*kept* pairs, so it is biased",
    ),
    "majority": (
        "share",
        "the accuracy of always guessing the more frequent label on the same pairs. Only the "
        "difference of `aa_acc` from it is meaningful",
    ),
    "competence": (
        "share",
        "c(t): the share of easiest pairs that may be trained on; 0 for batches planned before it "
        "was switched on",
    ),
    "pace": ("share", "the share of easiest pairs that `spl` trains on"),
    "mean_loss": (
        "nats/token",
        "mean of the losses that `infobatch` remembered when the pass began; 0 until the first "
        "report",
    ),
    "below_mean": (
        "share",
        "share of the last chunk of pairs considered whose remembered loss is below that mean; of "
        "these pairs a share r is dropped",
    ),
    "loss": (
        "nats/token",
        "training loss over the uniformly kept pairs: an unbiased estimate of the loss on the "
        "training set (with a prior: on that set weighted by the prior). `null` in the JSON log "
        "if no pair was kept uniformly since the previous line",
    ),
    "considered": ("pairs", "pairs considered so far"),
    "kept": ("pairs", "pairs kept so far"),
    "considered_tokens": ("target tokens, EOS included", "tokens considered so far"),
    "kept_tokens": ("target tokens, EOS included", "tokens kept so far"),
    "wait": (
        "seconds",
        "time that the loader waited for batches since this process started (with several "
        "data-bins: in this epoch), including the start of the worker process. The loader runs "
        "ahead of training, so training waited at most this long",
    ),
}


def main() -> None:
    """Write both pages."""
    for name, table in (("options", options_table), ("metrics", metrics_table)):
        path = DOCS / f"{name}.md"
        path.write_text(filled(path.read_text(encoding="utf-8"), table()), encoding="utf-8")
        print(path)


def filled(page: str, table: str) -> str:
    """Put ``table`` in its place in the page.

    Raises:
        ValueError: the page has no such place
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page has no {BEGIN.strip()!r} followed by {END!r}; put them in")
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def options_table() -> str:
    """Make the tables of all options, one for each group of strategies that read them."""
    groups: dict[str, list[str]] = {}
    for field in dataclasses.fields(AutoAssistConfig):
        groups.setdefault(read_by(field.name), []).append(option_row(field))
    head = "| flag | default | range | meaning | source |\n|---|---|---|---|---|\n"
    parts = []
    for strategies, rows in groups.items():
        parts.append(f"### Read by {strategies}\n\n{head}" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def read_by(name: str) -> str:
    """Strategies that read an option, in words."""
    always = readers(name, AutoAssistConfig())
    wrapped = readers(name, AutoAssistConfig(**{SWITCH: True}))
    others = [strategy for strategy in STRATEGIES if strategy not in always]
    if not others:
        return "all strategies"
    if len(always) > len(others):
        found, comma = f"all strategies but {_joined(others)}", ","
    else:
        found, comma = _joined(always), ""
    if wrapped == always:
        return found
    return f"{found}{comma} and every strategy with `{flag(SWITCH)}`"


def _joined(names: list[str]) -> str:
    return " and ".join(f"`{name}`" for name in names)


def option_row(field: dataclasses.Field[Any]) -> str:
    """Make the row of an option."""
    meta, default = field.metadata, field.default
    cells = (
        f"`{flag(field.name)}`",
        shown(default),
        span(meta["low"], meta["high"]),
        prose(meta["help"]),
        prose(meta["source"]),
    )
    return f"| {' | '.join(cells)} |"


def prose(text: str) -> str:
    """Format a text as Markdown: 'values' and --flags as code, other documents as links."""
    text = re.sub(r"'([\w.:-]+)'|(?<![\w-])(--[a-z-]+)", lambda m: f"`{m[1] or m[2]}`", text)
    for name, link in LINKS.items():
        text = text.replace(name, link)
    return text.replace("|", r"\|")


def shown(default: Any) -> str:
    """Format a default: `value`, off for a switch, (empty) for no text."""
    if default is False:
        return "off"
    return "(empty)" if default == "" else f"`{default}`"


def span(low: Any, high: Any) -> str:
    """Format a range in words; empty where there is none."""
    if low is None and high is None:
        return ""
    return f"at least {low:g}" if high is None else f"{low:g} to {high:g}"


def metrics_table() -> str:
    """Make the table of all metrics, with the strategies that log each.

    Raises:
        ValueError: METRICS and the metrics that the code logs differ
    """
    loggers = logged_by()
    differing = set(loggers) ^ set(METRICS)
    if differing:
        raise ValueError(
            f"METRICS of tools/make_docs.py and the code differ in {', '.join(sorted(differing))}; "
            "expected the same names: add or remove them there"
        )
    rows = ["| metric | unit | what it says | logged by |", "|---|---|---|---|"]
    for name, (unit, text) in METRICS.items():
        rows.append(f"| `aa_{name}` | {unit} | {text} | {loggers[name]} |")
    return "\n".join(rows) + "\n"


class Everything(dict):
    """Logging output that has every key."""

    def get(self, key: Any, default: Any = None) -> float:
        """Return 1 for any key."""
        return 1.0


def logged_by() -> dict[str, str]:
    """Map the name of every metric of an update to the strategies that log it, in words."""
    from fairseq.logging import metrics as fairseq_metrics  # takes seconds

    from fairseq_autoassist.plugin import metrics

    by_strategy = {key: metric_names(AutoAssistConfig(key)) for key in STRATEGIES}
    names = sorted({name for names in by_strategy.values() for name in names})
    with fairseq_metrics.aggregate(new_root=True) as logged:
        metrics.log([Everything()], 1, names)
    found = {}
    for name in (name[len("aa_") :] for name in logged.get_smoothed_values()):
        loggers = [f"`{key}`" for key, own in by_strategy.items() if name in own]
        found[name] = read_by(SWITCH) if name == METRIC else ", ".join(loggers) or "all"
    return found


if __name__ == "__main__":
    main()
