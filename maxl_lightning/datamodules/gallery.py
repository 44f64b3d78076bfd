"""Images of a batch as a figure."""

import math
import textwrap
from collections.abc import Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor

__all__ = ["plot_images"]


def plot_images(images: Tensor, titles: Sequence[str], mean: Sequence[float], std: Sequence[float]) -> Figure:
    """Draw normalised images in a grid.

    The figure belongs to no window system, so this works without a display and leaves pyplot's state alone.

    Args:
        images: ``(N, channels, height, width)``, at least one.
        titles: one for each image.
        mean: what the normalisation took from each channel.
        std: what it divided each channel by.

    Returns:
        A figure of N axes.

    Raises:
        ValueError: if there are no images.
    """
    if len(images) == 0:
        raise ValueError("the batch is empty: there is nothing to plot.")
    pixels = images.cpu() * torch.tensor(std).view(-1, 1, 1) + torch.tensor(mean).view(-1, 1, 1)
    columns = math.ceil(math.sqrt(len(pixels)))
    rows = math.ceil(len(pixels) / columns)
    figure = Figure(figsize=(1.6 * columns, 1.8 * rows), layout="constrained")
    for number, (picture, title) in enumerate(zip(pixels.clamp(0, 1), titles, strict=True), start=1):
        axes = figure.add_subplot(rows, columns, number)
        axes.imshow(picture.permute(1, 2, 0).numpy(), cmap="gray", vmin=0, vmax=1)  # the map is for single channels
        axes.set_title(textwrap.fill(title, 22), fontsize="small")  # longer ones would run into their neighbours
        axes.set_axis_off()
    return figure
