"""Accuracy over epochs with bands, the paper's Figure 3, and each method's mean with its interval."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from maxl_lightning.compare.colours import colours
from maxl_lightning.compare.statistics import statistics

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["accuracy_figure", "points_figure"]


def accuracy_figure(curves: "pd.DataFrame", methods: Sequence[str]) -> Figure:
    """Draw the mean test accuracy over epochs, with the 95 % interval of the mean over seeds as a band.

    The axis spans the means after the first fifth of the epochs, so that the methods can be told apart. The steep
    beginning leaves it, and so may bands, which are wide where there are few seeds.

    Args:
        curves: a row for each method, seed and epoch.
        methods: in the order of the legend.
    """
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    tested = curves.dropna(subset=["test_accuracy"])
    means: list[float] = []
    for method in methods:
        groups = tested[tested["method"] == method].groupby("epoch")["test_accuracy"]
        rows = [{"epoch": epoch, **statistics(100 * values)} for epoch, values in groups]
        epochs, mean, low, high = ([row[key] for row in rows] for key in ("epoch", "mean", "low", "high"))
        marker = "o" if len(rows) < 15 else None
        axes.plot(epochs, mean, marker=marker, markersize=4, color=colours(methods)[method], label=method)
        axes.fill_between(epochs, low, high, color=colours(methods)[method], alpha=0.12, linewidth=0)
        means += mean[len(mean) // 5 :]
    margin = 0.1 * (max(means) - min(means)) or 1.0
    axes.set_ylim(max(0, min(means) - margin), min(100, max(means) + margin))
    seeds = tested.groupby("method")["seed"].nunique().max()
    band = f"mean of {seeds} seeds with its 95 % interval" if seeds > 1 else "one seed"
    axes.set(xlabel="epochs of the network", ylabel="test accuracy, %", title=f"Test accuracy, {band}")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", frameon=False)
    return figure


def points_figure(runs: "pd.DataFrame", methods: Sequence[str]) -> Figure:
    """Draw each method's mean and 95 % interval, and each seed's test accuracy as a point.

    Args:
        runs: a row for each run.
        methods: from top to bottom.
    """
    figure = Figure(figsize=(8, 1.5 + 0.5 * len(methods)), layout="constrained")
    axes = figure.subplots()
    labels = []
    for place, method in enumerate(methods):
        values = 100 * runs.loc[runs["method"] == method, "test_accuracy"].dropna()
        row, colour = statistics(values), colours(methods)[method]
        axes.plot(values, [place + 0.2] * len(values), "o", color=colour, alpha=0.45, markersize=5, markeredgewidth=0)
        axes.plot(row["mean"], place - 0.1, "D", color=colour, markersize=7)
        axes.plot([row["low"], row["high"]], [place - 0.1] * 2, color=colour, linewidth=2.5, solid_capstyle="butt")
        labels.append(f"{method}, {row['n']} seed{'' if row['n'] == 1 else 's'}")
    axes.set(yticks=range(len(methods)), yticklabels=labels, ylim=(len(methods) - 0.5, -0.5))
    low, high = axes.get_xlim()
    axes.set_xlim(max(0, low), min(100, high))
    axes.set(xlabel="test accuracy, %", title="Test accuracy: mean with its 95 % interval, and each seed")
    axes.grid(axis="x", alpha=0.3)
    return figure
