"""The results as tables, in Markdown and for the terminal."""

import math
from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["markdown", "rich_tables"]

Cells = tuple[str, list[str], list[list[str]]]
"""Title, headers and rows of a table."""


def cells(runs: "pd.DataFrame", summary: "pd.DataFrame") -> list[Cells]:
    """Return the table of methods, in per cent, and that of differences, in percentage points."""
    tables = [_methods(runs, summary[summary["kind"] == "method"])]
    differences = summary[(summary["kind"] == "difference") & (summary["n"] > 0)]
    if len(differences):
        headers = ["paired difference, points", "mean", "std", "95 % interval", "n"]
        rows = [
            [f"{row['method']} − {row['reference']}", *numbers(row, "+"), str(row["n"])]
            for row in differences.to_dict("records")
        ]
        tables.append(("Paired differences of test accuracy, seed by seed", headers, rows))
    return tables


def _methods(runs: "pd.DataFrame", summary: "pd.DataFrame") -> Cells:
    means = runs.groupby("method")[["test_accuracy_best_validation", "train_accuracy", "label_confidence"]].mean()
    extra = {
        "at best validation, %": lambda name: percent(means["test_accuracy_best_validation"].get(name)),
        "train, %": lambda name: percent(means["train_accuracy"].get(name)),
        "label confidence": lambda name: plain(means["label_confidence"].get(name)),
    }
    rows = []
    for row in summary.to_dict("records"):
        others = [show(row["method"]) for show in extra.values()]
        rows.append([row["method"], *numbers(row, ""), str(row["n"]), *others])
    headers = ["method", "test accuracy, %", "std", "95 % interval", "n", *extra]
    kept = [i for i in range(len(headers)) if i < 5 or any(row[i] != "–" for row in rows)]
    title = f"Test accuracy, {averaged(runs)}"
    return title, [headers[i] for i in kept], [[row[i] for i in kept] for row in rows]


def averaged(runs: "pd.DataFrame") -> str:
    """Say which epochs the test accuracy is the mean of."""
    counts = sorted({int(count) for count in runs["averaged_epochs"].dropna()})
    if counts == [1]:
        return "that of the last epoch"
    return f"mean of the last {' or '.join(map(str, counts))} tested epochs"


def numbers(row: dict[str, Any], sign: str) -> list[str]:
    """Return mean, standard deviation and interval in hundredths; a dash for what one seed does not have."""
    interval = "–" if absent(row["low"]) else f"{percent(row['low'], sign)} to {percent(row['high'], sign)}"
    return [percent(row["mean"], sign), percent(row["std"]), interval]


def percent(value: Any, sign: str = "") -> str:
    """Return a share in per cent.

    >>> percent(0.12345), percent(-0.01, "+"), percent(None)
    ('12.35', '-1.00', '–')
    """
    return "–" if absent(value) else f"{100 * value:{sign}.2f}"


def plain(value: Any) -> str:
    """Return a number with three decimals."""
    return "–" if absent(value) else f"{value:.3f}"


def absent(value: Any) -> bool:
    """Say whether there is no number."""
    return value is None or math.isnan(value)


def notes(runs: "pd.DataFrame") -> list[str]:
    """Return sentences about what is missing."""
    missing = [f"{row['method']}, seed {row['seed']}" for row in runs[~runs["finished"]].to_dict("records")]
    sentences = [f"Not finished, and left out: {'; '.join(missing)}."] if missing else []
    if runs[runs["finished"]]["seed"].nunique() == 1:
        sentences.append("One seed says nothing about the spread: there are no intervals.")
    return sentences


def rich_tables(runs: "pd.DataFrame", summary: "pd.DataFrame") -> list[Table | str]:
    """Return the tables and notes for the terminal."""
    shown: list[Table | str] = []
    for title, headers, rows in cells(runs, summary):
        table = Table(title=title)
        for i, header in enumerate(headers):
            table.add_column(header, justify="left" if i == 0 else "right")
        for row in rows:
            table.add_row(*row)
        shown.append(table)
    return [*shown, *notes(runs)]


def markdown(runs: "pd.DataFrame", summary: "pd.DataFrame", commands: list[str]) -> str:
    """Return the tables, notes and commands as a Markdown page."""
    parts = []
    for title, headers, rows in cells(runs, summary):
        lines = [headers, ["---", *["---:"] * (len(headers) - 1)], *rows]
        parts.append(f"{title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines))
    parts += notes(runs)
    parts.append("The runs, as commands:\n\n```\n" + "\n".join(commands) + "\n```")
    return "\n\n".join(parts) + "\n"
