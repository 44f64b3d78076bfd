"""Splits that keep the share of every class."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from torch import Tensor

__all__ = ["grouped_split", "stratified_split"]


def stratified_split(
    strata: Sequence[int] | Tensor, size: int, seed: int, name: str, unit: str = "image"
) -> tuple[Tensor, Tensor]:
    """Split images in two, each part with the classes in their share.

    Args:
        strata: class of each of the N images.
        size: number of images of the first part, from 0 to N.
        seed: seed of the choice.
        name: the argument to blame if the split is impossible.
        unit: what is split, for that message.

    Returns:
        Numbers of the images of the first part and of the others, each sorted, int64.

    Raises:
        ValueError: if a part would not be empty yet too small to hold an image of each class, or a class has one.

    >>> first, others = stratified_split([0, 0, 0, 1, 1, 1], size=2, seed=0, name="num_val")
    >>> len(first), len(others)
    (2, 4)
    """
    classes = np.asarray(strata)
    everything = np.arange(len(classes))
    if size in (0, len(classes)):
        parts = everything[:size], everything[size:]
    else:
        _check_size(classes, size, name, unit)
        parts = train_test_split(everything, train_size=size, stratify=classes, random_state=seed)
    first, others = (torch.from_numpy(np.sort(part)) for part in parts)
    return first, others


def grouped_split(
    strata: Sequence[int] | Tensor, groups: Sequence[int] | Tensor, share: float, seed: int, name: str
) -> tuple[Tensor, Tensor]:
    """Split images in two without parting those of a group, each part with the classes in their share.

    Args:
        strata: class of each of the N images, the same for all of a group.
        groups: number of the group of each.
        share: share of the groups, not of the images, that goes to the first part.
        seed: seed of the choice.
        name: the argument to blame if the split is impossible.

    Returns:
        Numbers of the images of the first part and of the others, each sorted, int64.

    Raises:
        ValueError: if a part would not be empty yet too small to hold a group of each class.

    >>> first, others = grouped_split([0, 0, 0, 0], groups=[7, 8, 7, 8], share=0.5, seed=0, name="val_fraction")
    >>> sorted([first.tolist(), others.tolist()])
    [[0, 2], [1, 3]]
    """
    _, at, group = np.unique(np.asarray(groups), return_index=True, return_inverse=True)
    chosen, _ = stratified_split(torch.as_tensor(strata)[at], round(share * len(at)), seed, name, "group")
    inside = torch.from_numpy(np.isin(group, chosen.numpy()))
    return inside.nonzero().flatten(), (~inside).nonzero().flatten()


def _check_size(classes: Any, size: int, name: str, unit: str) -> None:
    numbers, counts = np.unique(classes, return_counts=True)
    total, strata = len(classes), len(counts)
    if counts.min() < 2:
        raise ValueError(
            f"{name} splits {total} {unit}s in two parts that both need one {unit} of each class, but class "
            f"{numbers[counts.argmin()]} (from 0) has a single one: add {unit}s of it, leave it out, or do not split."
        )
    if not strata <= size <= total - strata:
        raise ValueError(
            f"{name} asks for {size} of {total} {unit}s, but these are of {strata} classes and both parts need "
            f"one {unit} of each class: choose a number between {strata} and {total - strata}, or none or all."
        )
