"""What each run has reached."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from maxl_lightning.compare.attempt import is_finished
from maxl_lightning.compare.plan import Run
from maxl_lightning.compare.store import read_json

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["accuracy_of", "collect", "run_row"]

LAST = 5
"""Epochs that the test accuracy is the mean of, as in the paper's section 4."""

COLUMNS = (
    "method", "seed", "finished", "test_accuracy", "averaged_epochs", "test_accuracy_final",
    "test_accuracy_best_validation", "best_validation_epoch", "val_accuracy", "train_accuracy", "label_confidence",
    "label_entropy", "epochs", "seconds", "attempts",
)  # fmt: skip
"""Columns of ``runs.csv``."""


def collect(runs: Sequence[Run]) -> tuple["pd.DataFrame", "pd.DataFrame"]:
    """Return a row for each run, and the curves of the finished ones."""
    import pandas as pd

    rows: list[dict[str, Any]] = []
    curves: list[pd.DataFrame] = []
    for run in runs:
        row: dict[str, Any] = {"method": run.method.name, "seed": run.seed, "finished": is_finished(run)}
        if row["finished"]:
            kept, epochs = read_json(run.folder / "run.json"), pd.read_csv(run.folder / "curve.csv")
            row |= run_row(epochs) | {"seconds": kept["seconds"], "attempts": kept["attempts"]}
            curves.append(epochs.assign(method=run.method.name, seed=run.seed))
        rows.append(row)
    if not curves:
        return pd.DataFrame(rows, columns=list(COLUMNS)), pd.DataFrame()
    joined = pd.concat(curves, ignore_index=True)
    first = ["method", "seed", "epoch"]
    return pd.DataFrame(rows, columns=list(COLUMNS)), joined[[*first, *joined.columns.drop(first)]]


def accuracy_of(run: Run) -> float:
    """Return the test accuracy of a finished run."""
    import pandas as pd

    return float(run_row(pd.read_csv(run.folder / "curve.csv"))["test_accuracy"])


def run_row(epochs: "pd.DataFrame") -> dict[str, Any]:
    """Return a run's numbers: none is chosen by the test accuracy.

    Args:
        epochs: a row for each epoch, as :func:`maxl_lightning.compare.metrics.curve` gives them.

    Returns:
        ``test_accuracy`` is the mean of the last five tested epochs, of which there may be fewer
        (``averaged_epochs``); the others are the last epoch's, but for the test accuracy of the epoch with the
        best validation accuracy, the first of equals.
    """
    tested = epochs["test_accuracy"].dropna()
    row: dict[str, Any] = {
        "test_accuracy": tested.tail(LAST).mean(),
        "averaged_epochs": min(LAST, len(tested)),
        "test_accuracy_final": tested.iloc[-1],
        "epochs": int(epochs["epoch"].max()),
    }
    for name in ("val_accuracy", "train_accuracy", "label_confidence", "label_entropy"):
        known = epochs[name].dropna()
        row[name] = known.iloc[-1] if len(known) else None
    validated = epochs.dropna(subset=["val_accuracy", "test_accuracy"])
    if len(validated):
        best = validated.loc[validated["val_accuracy"].idxmax()]
        row |= {"test_accuracy_best_validation": best["test_accuracy"], "best_validation_epoch": int(best["epoch"])}
    return row
