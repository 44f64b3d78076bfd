"""Splits that keep the share of every class."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from torch import Tensor

__all__ = ["stratified_split"]


def stratified_split(strata: Sequence[int] | Tensor, size: int, seed: int, name: str) -> tuple[Tensor, Tensor]:
    """Split images in two, each part with the classes in their share.

    Args:
        strata: class of each of the N images.
        size: number of images of the first part, from 0 to N.
        seed: seed of the choice.
        name: the argument to blame if the split is impossible.

    Returns:
        Numbers of the images of the first part and of the others, each sorted, int64.

    Raises:
        ValueError: if a part would not be empty yet too small to hold an image of each class.

    >>> first, others = stratified_split([0, 0, 0, 1, 1, 1], size=2, seed=0, name="num_val")
    >>> len(first), len(others)
    (2, 4)
    """
    classes = np.asarray(strata)
    everything = np.arange(len(classes))
    if size in (0, len(classes)):
        parts = everything[:size], everything[size:]
    else:
        _check_size(classes, size, name)
        parts = train_test_split(everything, train_size=size, stratify=classes, random_state=seed)
    first, others = (torch.from_numpy(np.sort(part)) for part in parts)
    return first, others


def _check_size(classes: Any, size: int, name: str) -> None:
    counts = np.unique(classes, return_counts=True)[1]
    total, strata = len(classes), len(counts)
    if not strata <= size <= total - strata or counts.min() < 2:
        raise ValueError(
            f"{name} asks for {size} of {total} images, but these are of {strata} classes and both parts need "
            f"an image of each class: choose a number between {strata} and {total - strata}, or none or all."
        )
