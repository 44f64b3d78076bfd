"""A heat map of shares: primary class × position in its block of auxiliary classes."""

from collections.abc import Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from maxl_lightning.callbacks.figures import percent

__all__ = ["draw_heat_map", "heat_map_size"]

MOST_WRITTEN = 12
"""Columns up to which cells have their number written in, and a third of the rows."""


def heat_map_size(rows: Sequence[Tensor], names: Sequence[str]) -> tuple[float, float]:
    """Return width and height in inches that a heat map needs, its names included."""
    columns = max(len(row) for row in rows)
    cell = 0.5 if columns <= MOST_WRITTEN else 0.16
    words = 0.08 * max(len(name) for name in names)
    return max(2.4, cell * columns + words), min(14.0, 1.4 + min(0.32, 0.12 + 4 / len(rows)) * len(rows))


def draw_heat_map(axes: Axes, rows: Sequence[Tensor], names: Sequence[str], title: str) -> None:
    """Draw shares between 0 and 1, a row for each primary class; rows may differ in length.

    Args:
        axes: to draw on.
        rows: shares of a primary class's auxiliary classes, ``(ψ_c,)`` each.
        names: of the primary classes.
        title: of the axes.
    """
    table = pad_sequence(list(rows), batch_first=True, padding_value=torch.nan)
    columns = table.shape[1]
    written = columns <= MOST_WRITTEN and len(rows) <= 3 * MOST_WRITTEN
    edges = (0.5, columns + 0.5, len(rows) - 0.5, -0.5)  # positions count from 1
    axes.set_facecolor("0.85")  # where a block has ended
    image = axes.imshow(table.numpy(), cmap="Blues", vmin=0, vmax=1 if written else None, aspect="auto", extent=edges)
    axes.set_title(title, fontsize="small")
    axes.set_xlabel("position in the block")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    small = min(9.0, 640 / len(names))
    axes.set_yticks(range(len(names)), names, fontsize=small)
    if not written:
        axes.figure.colorbar(image, ax=axes, shrink=0.8, format=PercentFormatter(1, decimals=0))
        return
    for row, shares in enumerate(rows):
        for column, share in enumerate(shares.tolist(), start=1):
            color = "white" if share > 0.5 else "black"
            axes.text(column, row, percent(share), ha="center", va="center", fontsize=small, color=color)
