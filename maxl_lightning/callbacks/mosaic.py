"""Rows of small images as one picture: much faster to draw than axes for each."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["displayable", "mosaic", "shrink"]

LARGEST_TILE = 96
"""Pixels of an image's longer side; larger images are scaled down."""


def shrink(images: Tensor) -> Tensor:
    """Return images ``(N, channels, height, width)`` of at most 96 pixels a side, float32 on the CPU."""
    height, width = images.shape[-2:]
    scale = LARGEST_TILE / max(height, width)
    images = images.detach().to("cpu", torch.float32)
    if scale >= 1:
        return images
    size = (max(1, round(scale * height)), max(1, round(scale * width)))
    return F.interpolate(images, size, mode="bilinear", antialias=True)


def displayable(images: Tensor, mean: Sequence[float] | None, std: Sequence[float] | None) -> Tensor:
    """Return normalised images as grey or colour images between 0 and 1, ``(N, 1 or 3, height, width)``.

    Args:
        images: ``(N, channels, height, width)``.
        mean: what the normalisation took from each channel; None stretches the range that there is to 0 … 1.
        std: what it divided each channel by.
    """
    if mean is None or std is None:
        low, high = images.min(), images.max()
        images = (images - low) / (high - low).clamp_min(1e-12)
    else:
        images = images * images.new_tensor(std).view(-1, 1, 1) + images.new_tensor(mean).view(-1, 1, 1)
    return images[:, : 3 if images.shape[1] >= 3 else 1].clamp(0, 1)


def mosaic(rows: Sequence[Tensor], columns: int) -> Tensor:
    """Lay images out in rows on white.

    Args:
        rows: images ``(n, channels, height, width)`` of each row, n up to ``columns``.
        columns: images in a full row.

    Returns:
        One picture ``(len(rows) * (height + gap), columns * (width + gap), channels)``.
    """
    channels, height, width = rows[0].shape[1:]
    gap = max(1, round(max(height, width) / 16))
    picture = torch.ones(len(rows), columns, channels, height + gap, width + gap)
    for number, images in enumerate(rows):
        picture[number, : len(images), :, :height, :width] = images
    return picture.permute(0, 3, 1, 4, 2).reshape(len(rows) * (height + gap), columns * (width + gap), channels)
