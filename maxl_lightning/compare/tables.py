"""The results as tables, in Markdown and for the terminal."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Cells", "make_tables", "markdown", "notes", "rich_table"]


@dataclass(frozen=True)
class Cells:
    """A table as text.

    Args:
        title: what it shows.
        headers: of the columns; the first column is a name, the others are numbers.
        rows: of as many entries.
    """

    title: str
    headers: Sequence[str]
    rows: Sequence[Sequence[str]]


def make_tables(runs: "pd.DataFrame", summary: "pd.DataFrame") -> list[Cells]:
    """Return the table of methods, in per cent, and that of paired differences, in percentage points."""
    tables = [methods_table(runs, summary[summary["kind"] == "method"])]
    differences = summary[(summary["kind"] == "difference") & (summary["n"] > 0)]
    if len(differences):
        rows = [
            [f"{row['method']} − {row['reference']}", *numbers(row, "+"), str(row["n"])]
            for row in differences.to_dict("records")
        ]
        headers = ["difference", "mean", "std", "95 % interval", "n"]
        tables.append(Cells("Differences in percentage points, paired by seed", headers, rows))
    return tables


def methods_table(runs: "pd.DataFrame", summary: "pd.DataFrame") -> Cells:
    """Return a row for each method; a column without a number in any row is left out."""
    means = runs.groupby("method")[["test_accuracy_best_validation", "train_accuracy", "label_confidence"]].mean()
    rows = []
    for row in summary.to_dict("records"):
        best, train, confidence = means.loc[row["method"]]
        others = [percent(best), percent(train), "–" if absent(confidence) else f"{confidence:.3f}"]
        rows.append([row["method"], *numbers(row), str(row["n"]), *others])
    headers = ["method", "test", "std", "95 % interval", "n", "at best val", "train", "confidence"]
    kept = [i for i in range(len(headers)) if i < 5 or any(row[i] != "–" for row in rows)]
    title = f"Test accuracy in %, {averaged(runs)}"
    return Cells(title, [headers[i] for i in kept], [[row[i] for i in kept] for row in rows])


def averaged(runs: "pd.DataFrame") -> str:
    """Say which epochs the test accuracy is the mean of."""
    counts = sorted({int(count) for count in runs["averaged_epochs"].dropna()})
    if counts == [1]:
        return "the only tested epoch"
    return f"mean of the last {' or '.join(map(str, counts))} tested epochs"


def numbers(row: dict[str, Any], sign: str = "") -> list[str]:
    """Return mean, standard deviation and interval; a dash for what one seed does not have."""
    interval = "–" if absent(row["low"]) else f"{percent(row['low'], sign)} to {percent(row['high'], sign)}"
    return [percent(row["mean"], sign), percent(row["std"]), interval]


def percent(share: Any, sign: str = "") -> str:
    """Return a share in per cent.

    >>> percent(0.12345), percent(-0.01, "+"), percent(None)
    ('12.35', '-1.00', '–')
    """
    return "–" if absent(share) else f"{100 * share:{sign}.2f}"


def absent(value: Any) -> bool:
    """Say whether there is no number."""
    return value is None or math.isnan(value)


def notes(runs: "pd.DataFrame") -> list[str]:
    """Return sentences about what the tables lack."""
    missing = [f"{row['method']}, seed {row['seed']}" for row in runs[~runs["finished"]].to_dict("records")]
    sentences = [f"Not finished, and left out: {'; '.join(missing)}."] if missing else []
    if (runs[runs["finished"]].groupby("method")["seed"].nunique() == 1).any():
        sentences.append("One seed says nothing about the spread: a method with one has no deviation and no interval.")
    return sentences


def rich_table(cells: Cells) -> Table:
    """Return a table for the terminal."""
    table = Table(title=cells.title, box=SIMPLE_HEAD, title_justify="left", pad_edge=False, collapse_padding=True)
    for i, header in enumerate(cells.headers):
        table.add_column(header, justify="left" if i == 0 else "right")
    for row in cells.rows:
        table.add_row(*row)
    return table


def markdown(cells: Cells) -> str:
    """Return a table in Markdown."""
    lines = [cells.headers, ["---", *["---:"] * (len(cells.headers) - 1)], *cells.rows]
    return f"{cells.title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)
