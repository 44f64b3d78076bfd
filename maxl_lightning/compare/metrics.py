"""What a run has measured, epoch by epoch, from the files of all its attempts."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["archive", "curve", "epochs_tested", "latest_epoch", "measured"]

COLUMNS = {
    "test/accuracy": "test_accuracy",
    "val/accuracy": "val_accuracy",
    "train/accuracy": "train_accuracy",
    "train/label_confidence": "label_confidence",
    "train/label_entropy": "label_entropy",
}
"""What is kept of a run's metrics."""


def archive(folder: Path) -> None:
    """Set the metrics of an earlier attempt aside: Lightning's logger deletes them when it starts."""
    path = folder / "metrics.csv"
    if path.is_file():
        number = len(list(folder.glob("metrics_*.csv"))) + 1
        path.rename(folder / f"metrics_{number}.csv")


def measured(folder: Path) -> "pd.DataFrame":
    """Return the rows of all attempts in order, with what each later attempt did again taken from that one."""
    import pandas as pd

    rows = pd.DataFrame(columns=["epoch", *COLUMNS], dtype=float)
    for path in (*_archived(folder), folder / "metrics.csv"):
        attempt = _read(path).reindex(columns=rows.columns)
        if len(attempt):
            rows = _continued(rows, attempt) if len(rows) else attempt
    return rows


def _continued(rows: "pd.DataFrame", attempt: "pd.DataFrame") -> "pd.DataFrame":
    """Return rows up to where a later attempt began, and that one's; its first epoch may have begun before it."""
    import pandas as pd

    first = attempt["epoch"].min()
    kept = rows[rows["epoch"] <= first].copy()
    again = attempt[attempt["epoch"] == first].notna().any()
    kept.loc[kept["epoch"] == first, [name for name in COLUMNS if again[name]]] = float("nan")
    return pd.concat([kept, attempt], ignore_index=True)


def _archived(folder: Path) -> list[Path]:
    return sorted(folder.glob("metrics_*.csv"), key=lambda path: int(path.stem.rpartition("_")[2]))


def _read(path: Path) -> "pd.DataFrame":
    import pandas as pd

    text = path.read_text() if path.is_file() else ""
    complete = text[: text.rfind("\n") + 1]  # the row that a process was writing when it was killed is none
    if not complete:
        return pd.DataFrame(columns=["epoch"])
    rows = pd.read_csv(io.StringIO(complete))
    return rows.dropna(subset=["epoch"]) if "epoch" in rows else pd.DataFrame(columns=["epoch"])


def epochs_tested(folder: Path) -> set[int]:
    """Return the Trainer's epochs, from 0, after which a test is on record."""
    rows = measured(folder)
    return {int(epoch) for epoch in rows.loc[rows["test/accuracy"].notna(), "epoch"]}


def latest_epoch(folder: Path) -> int | None:
    """Return the Trainer's epoch, from 0, that the last row is of: a look at the file's two ends."""
    try:
        with (folder / "metrics.csv").open("rb") as stream:
            names = stream.readline().decode().strip().split(",")
            stream.seek(max(stream.seek(0, io.SEEK_END) - 4096, 0))
            row = stream.read().decode().splitlines()[-2].split(",")  # the last one may not be complete
        return int(float(dict(zip(names, row, strict=True))["epoch"]))
    except (OSError, LookupError, ValueError):  # nothing is written yet
        return None


def curve(rows: "pd.DataFrame", alternating: bool) -> "pd.DataFrame":
    """Return a row for each epoch of the network θ1, counted from 1.

    In the alternating order two of the Trainer's epochs make one: training accuracy is that of θ1's pass, test and
    validation accuracy are those after θ2's, labels the mean of both.
    """
    rows = rows.rename(columns=COLUMNS).sort_values("epoch", kind="stable")
    if alternating:
        rows.loc[rows["epoch"] % 2 == 0, ["test_accuracy", "val_accuracy"]] = float("nan")
        rows.loc[rows["epoch"] % 2 == 1, "train_accuracy"] = float("nan")
        rows["epoch"] = rows["epoch"] // 2
    rows["epoch"] = rows["epoch"].astype(int) + 1
    how = {name: "mean" if name.startswith("label") else "last" for name in COLUMNS.values()}
    return rows.groupby("epoch").agg(how).reset_index()
