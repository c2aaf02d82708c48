"""Report of `make svm`: data, tables, claims, and Theorem 1."""

from __future__ import annotations

import argparse
from pathlib import Path

from preprocess.text import whole_files
from recipes.common.markdown import table
from recipes.linear_svm import figures
from recipes.linear_svm.records import (
    GAPS,
    Records,
    end,
    load,
    median_reach,
    ratio,
    solvers,
)
from recipes.linear_svm.solvers import BASELINE, SOLVERS
from recipes.linear_svm.verdict import verdict_lines

DASH = "-"  # not reached


def facts_table(records: Records) -> list[str]:
    """Lines of the table of data sets."""
    head = ["data", "rows x columns", "values a row", "lambda", "F(w*)"]
    head += ["rows with a loss at w*", "mean loss at w*", "spread of norms"]
    rows = [
        [
            fact["data"],
            f"{fact['rows']:,} x {fact['columns']:,}",
            f"{fact['per_row']:.0f}",
            f"{fact['lam']:g}",
            f"{fact['best']:.4f}",
            f"{100 * fact['violated']:.0f}%",
            f"{fact['loss']:.3f}",
            f"{fact['spread']:.2f}",
        ]
        for fact in records.facts
    ]
    return table(head, rows)


def shown(value: float | None, form: str = ".2f") -> str:
    """Format a figure, without decimals from 100 on; a dash if there is none."""
    if value is None:
        return DASH
    return f"{value:,.0f}" if value >= 100 else f"{value:{form}}"


def reach_table(records: Records, data: str) -> list[str]:
    """Lines of the table of one data set: Pegasos's own figures, then ratios to them."""
    head = ["", *(f"updates to {gap:g}" for gap in GAPS), *(f"time to {gap:g}" for gap in GAPS)]
    rows = []
    for name in solvers(records):
        cells = []
        for key in ("updates", "seconds"):
            for gap in GAPS:
                if name == BASELINE:
                    found = median_reach(records.of(data, name), key, gap)
                    unit = "" if key == "updates" else " s"
                    form = ".0f" if key == "updates" else ".3f"
                    cells.append(shown(found, form) + (unit if found is not None else ""))
                else:
                    cells.append(shown(ratio(records, data, name, key, gap)))
        last = end(records, data, name, "gap")
        rows.append([SOLVERS[name].title, *cells, f"{last:.1e}"])
    return table([*head, "gap at the end"], rows)


def theorem_lines(records: Records) -> list[str]:
    """Lines on the measurements of Theorem 1."""
    lines = []
    for record in records.theorems:
        under = all(
            square <= record["bound"] / step
            for step, square in zip(record["steps"], record["squares"])
        )
        slope = round(record["slope"], 2) + 0.0  # no -0.00
        lines.append(
            f"- Skip below {record['theorem']}: slope {slope:.2f} over the last "
            f"decade of k; {'below' if under else 'not below'} L / k at every mark; "
            f"at the last mark at least {100 * record['shares'][-1]:.0f}% of the rows are kept."
        )
    return lines


def text_of(records: Records) -> str:
    """Text of the report, in Markdown."""
    lines = [
        "# Linear SVMs with instance shrinking",
        "",
        f"Medians over {len(records.of(records.facts[0]['data'], BASELINE))} seeds. Pegasos's row "
        f"holds its updates and CPU seconds, the others ratios to it. `{DASH}`: not every seed "
        "gets there and stays.",
        "",
        "## Data",
        "",
        *facts_table(records),
        "",
    ]
    for fact in records.facts:
        lines += [f"## {fact['data']}", "", *reach_table(records, fact["data"]), ""]
    lines += ["## What was to be shown", "", *verdict_lines(records), ""]
    lines += ["## Theorem 1", "", *theorem_lines(records)]
    return "\n".join(lines)


def write(folder: Path) -> str:
    """Write report.md, svm.png and theorem.png beside records.jsonl; return the report."""
    records = load(folder / "records.jsonl")
    text = text_of(records)
    figures.draw_gaps(records, folder / "svm.png")
    figures.draw_theorem(records, folder / "theorem.png")
    with whole_files(folder / "report.md") as (stream,):
        stream.write(text + "\n")
    return text


def main(arguments: list[str] | None = None) -> None:
    """Write report and figures from the records of a folder; print the report."""
    parser = argparse.ArgumentParser(description="Make report and figures again from the records.")
    parser.add_argument("folder", type=Path, help="output folder of `make svm`")
    print(write(parser.parse_args(arguments).folder))


if __name__ == "__main__":
    main()
