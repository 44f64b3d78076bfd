"""From what a data set gives to what a network takes."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torchvision.transforms import v2

__all__ = ["image_transform", "random_crop"]


def image_transform(
    mean: Sequence[float], std: Sequence[float], augmentation: Callable[[Any], Any] | None = None
) -> Callable[[Any], Any]:
    """Return the transform of one image: augment, bring to the range 0 to 1, normalise.

    The augmentation comes first, as in the authors' code: what a crop adds at the border is black, not grey.

    Args:
        mean: what normalisation takes from each channel.
        std: what it divides each channel by.
        augmentation: takes and gives an image that is not normalised; None for none.

    Returns:
        A callable that takes a PIL image, or a tensor ``(channels, height, width)`` of bytes or of numbers between
        0 and 1, and gives a float32 tensor ``(channels, height, width)``.
    """
    varied = [] if augmentation is None else [augmentation]
    normalised = [v2.ToDtype(torch.float32, scale=True), v2.Normalize(list(mean), list(std))]
    transform: Callable[[Any], Any] = v2.Compose([v2.ToImage(), *varied, *normalised, v2.ToPureTensor()])
    return transform


def random_crop(size: int, flip: bool) -> Callable[[Any], Any]:
    """Return the paper's augmentation of small images: a crop of the image padded by 4 black pixels, and a flip.

    Args:
        size: height and width of image and crop, in pixels.
        flip: whether to mirror half the images, left to right.
    """
    crop = v2.RandomCrop(size, padding=4)
    augmentation: Callable[[Any], Any] = v2.Compose([crop, v2.RandomHorizontalFlip()]) if flip else crop
    return augmentation
