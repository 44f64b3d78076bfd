"""Accuracy over epochs with bands, the paper's Figure 3, and each method's mean with its interval."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from maxl_lightning.compare.colours import colours
from maxl_lightning.compare.statistics import statistics

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["accuracy_figure", "points_figure"]

TOGETHER = 3
"""Bands of more methods than this would hide each other: each method then gets a panel."""

Rows = list[dict[str, Any]]


def accuracy_figure(curves: "pd.DataFrame", methods: Sequence[str]) -> Figure:
    """Draw the mean test accuracy over epochs, with the 95 % interval of the mean over seeds as a band.

    Panels of single methods show the others' means as thin lines. The axis spans the means of the second half of the
    epochs, so that the methods can be told apart: steep beginnings leave it, and so may bands, which are wide where
    there are few seeds.

    Args:
        curves: a row for each method, seed and epoch.
        methods: in order.
    """
    tested = curves.dropna(subset=["test_accuracy"])
    lines = {method: _mean_and_interval(tested[tested["method"] == method]) for method in methods}
    panels = [list(methods)] if len(methods) <= TOGETHER else [[method] for method in methods]
    columns = min(4, len(panels))
    rows = math.ceil(len(panels) / columns)
    size = (8, 4.5) if len(panels) == 1 else (1 + 2.4 * columns, 0.8 + 2.2 * rows)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes, panel in zip(grid.flat, panels, strict=False):
        _draw_panel(axes, lines, panel)
    for number in range(len(panels), grid.size):
        grid.flat[number].set_axis_off()
        grid.flat[number - columns].tick_params(labelbottom=True)  # it has no panel below that would show them
    grid.flat[0].set_ylim(*_limits([row["mean"] for line in lines.values() for row in line[len(line) // 2 :]]))
    seeds = tested.groupby("method")["seed"].nunique()
    count = str(seeds.max()) if seeds.nunique() == 1 else f"{seeds.min()} to {seeds.max()}"
    figure.suptitle(f"Test accuracy, {'one seed' if count == '1' else f'mean of {count} seeds with its 95 % interval'}")
    figure.supxlabel("epochs of the network", fontsize="medium")
    figure.supylabel("test accuracy, %", fontsize="medium")
    return figure


def _mean_and_interval(tested: "pd.DataFrame") -> Rows:
    """Return, for each epoch of one method, the statistics of its test accuracy in per cent."""
    return [{"epoch": epoch, **statistics(100 * values)} for epoch, values in tested.groupby("epoch")["test_accuracy"]]


def _draw_panel(axes: Axes, lines: dict[str, Rows], panel: Sequence[str]) -> None:
    """Draw some methods with their bands, and the others thinly behind them."""
    for method, rows in lines.items():
        colour, own = colours(list(lines))[method], method in panel
        epochs, mean, low, high = ([row[key] for row in rows] for key in ("epoch", "mean", "low", "high"))
        marker = "o" if own and len(rows) < 10 else None
        axes.plot(
            epochs, mean, color=colour, linewidth=1.6 if own else 0.5, marker=marker, markersize=4,
            zorder=3 if own else 2, label=method if own else None,
        )  # fmt: skip
        if own:
            axes.fill_between(epochs, low, high, color=colour, alpha=0.18, linewidth=0)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="lower right")


def _limits(means: Sequence[float]) -> tuple[float, float]:
    """Return the limits of an axis that spans values in per cent, with a margin."""
    margin = 0.1 * (max(means) - min(means)) or 1.0
    return max(0.0, min(means) - margin), min(100.0, max(means) + margin)


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
