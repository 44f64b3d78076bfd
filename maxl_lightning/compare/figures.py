"""Accuracy over epochs with bands, and means with intervals: the paper's Figure 3 and its summary."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from maxl_lightning.compare.colours import colours
from maxl_lightning.compare.statistics import statistics

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["accuracy_figure", "bar_figure"]


def accuracy_figure(curves: "pd.DataFrame", methods: Sequence[str]) -> Figure:
    """Draw the mean test accuracy over epochs, with the 95 % interval of the mean over seeds as a band.

    Args:
        curves: a row for each method, seed and epoch.
        methods: in the order of the legend.
    """
    figure = Figure(figsize=(7.5, 4.5), layout="constrained")
    axes = figure.subplots()
    seeds = 0
    for method in methods:
        tested = curves[curves["method"] == method].dropna(subset=["test_accuracy"])
        if tested.empty:
            continue
        seeds = max(seeds, tested["seed"].nunique())
        rows = tested.groupby("epoch")["test_accuracy"].apply(lambda values: statistics(100 * values)).unstack()
        rows = rows.astype(float)
        colour = colours(methods)[method]
        axes.plot(rows.index, rows["mean"], color=colour, label=method, linewidth=1.6)
        axes.fill_between(rows.index, rows["low"], rows["high"], color=colour, alpha=0.18, linewidth=0)
    band = f"mean of {seeds} seeds, band: 95 % interval" if seeds > 1 else "one seed"
    axes.set(xlabel="epoch of the network", ylabel="test accuracy, %", title=f"Test accuracy over epochs ({band})")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return figure


def bar_figure(runs: "pd.DataFrame", methods: Sequence[str]) -> Figure:
    """Draw each method's mean and 95 % interval, and each seed's test accuracy as a point.

    Args:
        runs: a row for each run.
        methods: from top to bottom.
    """
    figure = Figure(figsize=(7.5, 1.4 + 0.5 * len(methods)), layout="constrained")
    axes = figure.subplots()
    for place, method in enumerate(methods):
        values = 100 * runs.loc[runs["method"] == method, "test_accuracy"].dropna()
        row, colour = statistics(values), colours(methods)[method]
        if not row["n"]:
            continue
        axes.plot(values, [place + 0.18] * len(values), "o", color=colour, alpha=0.45, markersize=4, linewidth=0)
        axes.plot(row["mean"], place - 0.08, "D", color=colour, markersize=7)
        if row["low"] is not None:
            axes.plot([row["low"], row["high"]], [place - 0.08] * 2, color=colour, linewidth=2.5)
    axes.set(yticks=range(len(methods)), yticklabels=methods, xlabel="test accuracy, %")
    axes.set_title("Test accuracy: mean with 95 % interval, and each seed")
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    return figure
