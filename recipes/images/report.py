"""Report of a matrix: tables of errors and costs for each set and model, and the figures.

python -m recipes.images.report runs/images/quick
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Sequence

from preprocess.text import whole_files
from recipes.common.markdown import table
from recipes.compare.statistics import Estimate
from recipes.images import figures
from recipes.images.arms import ARMS, BASELINE
from recipes.images.records import NAME, Panel, Record, load, panels
from recipes.images.sets import parts, title
from recipes.images.statistics import (
    choosing_share,
    cost_ratio,
    difference,
    ends,
    per_sample,
    samples_ratio,
    time_ratio,
)

DASH = "-"
CONTROL = "random"


def shown(value: Estimate | None, scale: float = 1.0, digits: int = 2) -> str:
    """Format a mean with its interval in brackets; a dash if there is no value."""
    if value is None:
        return DASH
    text = f"{scale * value.mean:.{digits}f}"
    if value.low is None or value.high is None:
        return text
    return f"{text} [{scale * value.low:.{digits}f}, {scale * value.high:.{digits}f}]"


def seeds(panel: Panel, arm: str) -> str:
    """Number of seeds of an arm; where it differs, one at each share of the budget."""
    counts = [str(len(panel.of(arm, share))) for share in panel.shares]
    return counts[0] if len(set(counts)) == 1 else ", ".join(counts)


def error_table(panel: Panel) -> list[str]:
    """Lines of the table of test errors in %, and of samples and time to SGD's error."""
    head = ["", "seeds", *(f"error at {share:g}" for share in panel.shares)]
    head += ["samples to SGD's error, x", "time to SGD's error, x"]
    noisy = parts(panel.data)[1] > 0
    if noisy:
        head.append("trained on wrong labels, %")
    rows = []
    for name in panel.arms:
        whole = panel.of(name)
        cells = [ARMS[name].title, seeds(panel, name)]
        cells += [shown(ends(panel.of(name, share), "test_error"), 100.0) for share in panel.shares]
        cells += [shown(samples_ratio(panel, name)), shown(time_ratio(panel, name))]
        if noisy:
            cells.append(shown(ends(whole, "wrong_trained"), 100.0, 1))
        rows.append(cells)
    return table(head, rows)


def difference_table(panel: Panel) -> list[str]:
    """Lines of the table of test errors minus those of SGD's whole run and of random skipping."""
    head = [""]
    for share in panel.shares:
        head += [f"at {share:g}: to SGD at 1", f"at {share:g}: to random"]
    rows = []
    for name in panel.arms:
        cells = [ARMS[name].title]
        for share in panel.shares:
            for other in ((BASELINE, 1.0), (CONTROL, share)):
                same = (name, share) == other
                found = None if same else difference(panel, (name, share), other)
                cells.append(shown(found, 100.0))
        rows.append(cells)
    return table(head, rows)


def loss_table(panel: Panel) -> list[str]:
    """Lines of the table of training losses in nats, and of samples to SGD's training loss."""
    head = ["", *(f"training loss at {share:g}" for share in panel.shares)]
    head.append("samples to SGD's training loss, x")
    rows = []
    for name in panel.arms:
        losses = [ends(panel.of(name, share), "train_loss") for share in panel.shares]
        cells = [ARMS[name].title, *(shown(loss, digits=4) for loss in losses)]
        rows.append([*cells, shown(samples_ratio(panel, name, "train_loss"))])
    return table(head, rows)


def cost_table(panel: Panel) -> list[str]:
    """Lines of the table of times at the full budget: ms a sample, choosing, ratio to SGD."""
    head = ["", "ms a sample", "of it for choosing, %", "time a sample over SGD's, x"]
    rows = []
    for name in panel.whole:
        records = panel.of(name)
        time = _mean([1e3 * per_sample(record) for record in records])
        choosing = _mean([100 * choosing_share(record) for record in records])
        ratio = "1" if name == BASELINE else shown(cost_ratio(panel, name))
        rows.append([ARMS[name].title, f"{time:.3f}", f"{choosing:.1f}", ratio])
    return table(head, rows)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def accuracy_table(panel: Panel) -> list[str]:
    """Lines of the table of final accuracies: Assistant and majority class; empty without one.

    They are those at the largest share of the budget at which the arm was run.
    """
    rows = []
    for name in panel.arms:
        records = panel.largest(name)
        if ARMS[name].assists and all("acc" in record.curve for record in records):
            last = [(r.curve["acc"][-1], r.curve["majority"][-1]) for r in records]
            mine, theirs = (_mean(values) for values in zip(*last))
            rows.append([ARMS[name].title, f"{mine:.3f}", f"{theirs:.3f}"])
    return table(["", "the Assistant's accuracy", "the majority class"], rows) if rows else []


def section(panel: Panel) -> list[str]:
    """Lines of the section of one set and model."""
    size = f"{panel.model}, width {panel.width}, {panel.budget:,} samples"
    lines = [f"## {title(panel.data)}, {size}", "", *error_table(panel), ""]
    lines += ["Test errors minus others, in points, paired by seed:", "", *difference_table(panel)]
    lines += ["", *loss_table(panel), ""]
    found = accuracy_table(panel)
    lines += [*found, ""] if found else []
    return [*lines, *cost_table(panel), ""]


def text_of(records: Sequence[Record]) -> str:
    """Text of the report, in Markdown."""
    sessions = {record.session for record in records}
    lines = [
        "# Images",
        "",
        "Errors are shares of the test images, in %, at the end of a run; brackets hold 95% "
        "intervals over seeds. Every share of the budget has its own schedule. Samples and time to "
        "SGD's error are ratios to SGD's whole run: up to the mark from which the error stays at "
        f"or below the mean of SGD's final errors. `{DASH}`: not every seed reaches it, or no SGD "
        "ran in the same session.",
        "",
        f"{len(records)} runs of {len(sessions)} session(s).",
        "",
    ]
    for panel in panels(records):
        lines += section(panel)
    return "\n".join(lines).rstrip()


def write(folder: Path) -> str:
    """Write report.md and the figures beside records.jsonl; return the report."""
    records = load(folder / NAME)
    figures.draw(panels(records), folder)
    text = text_of(records)
    with whole_files(folder / "report.md") as (stream,):
        stream.write(text + "\n")
    return text


def main(arguments: list[str] | None = None) -> None:
    """Write report and figures of a matrix; print the report."""
    parser = argparse.ArgumentParser(description="Make report and figures again from the records.")
    parser.add_argument("folder", type=Path, help="folder of a matrix")
    print(write(parser.parse_args(arguments).folder))


if __name__ == "__main__":
    main()
