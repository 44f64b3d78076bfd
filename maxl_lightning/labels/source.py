"""Auxiliary labels as data: what the given-label methods train on.

A method that learns from given auxiliary labels should not know where they come from. So a label source is a
callable that labels a whole data set once, and :class:`AuxiliaryDataset` hands the labels out beside the
images.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from maxl_lightning.datasets.view import DatasetView, Key, split_key
from maxl_lightning.functional import hierarchy_mask, uniform_labels

__all__ = ["AuxiliaryDataset", "AuxiliaryLabels", "UniformLabels", "check_auxiliary_labels"]


class AuxiliaryLabels(ABC):
    """A source of auxiliary labels; subclass it to add one."""

    @abstractmethod
    def __call__(self, dataset: DatasetView, psi: Sequence[int]) -> Tensor:
        """Label every image of a data set.

        Args:
            dataset: the N training images as evaluation sees them, without augmentation. ``dataset.targets``
                are their primary classes, ``dataset.source`` and ``dataset.indices`` lead to whatever else is
                known.
            psi: the hierarchy ψ, one number of auxiliary classes for each primary class.

        Returns:
            Class indices ``(N,)`` of type int64, or soft labels ``(N, Σψ)`` of floating type with rows that
            sum to one, in the order of the data set.
        """


class UniformLabels(AuxiliaryLabels):
    """Spread every image evenly over the block of its own primary class: the control without information.

    What it gains over a single task comes from the second loss, not from what the labels say.
    """

    def __call__(self, dataset: DatasetView, psi: Sequence[int]) -> Tensor:
        """Return 1/ψ inside the block of each image's primary class and 0 outside, ``(N, Σψ)``."""
        return uniform_labels(dataset.targets, hierarchy_mask(psi))


class AuxiliaryDataset(Dataset[tuple[Any, int, Tensor]]):
    """A view whose items are ``(image, primary, auxiliary)``.

    Args:
        view: the N images.
        labels: class indices ``(N,)`` or soft labels ``(N, Σψ)``.
        psi: the hierarchy ψ.

    Raises:
        ValueError: if the labels do not fit the view and ψ.
    """

    def __init__(self, view: DatasetView, labels: Tensor, psi: Sequence[int]) -> None:
        check_auxiliary_labels(labels, len(view), psi)
        self.view = view
        self.labels = labels

    @property
    def targets(self) -> Tensor:
        """Primary classes, int64 ``(N,)``."""
        return self.view.targets

    def __len__(self) -> int:
        return len(self.view)

    def __getitem__(self, key: Key) -> tuple[Any, int, Tensor]:
        image, primary = self.view[key]
        return image, primary, self.labels[split_key(key)[1]]


def check_auxiliary_labels(labels: Tensor, num_images: int, psi: Sequence[int]) -> None:
    """Refuse labels that a loss would accept and silently train nonsense on.

    A class index outside the block of the image's own primary class is allowed: that is a question of the
    method.

    Args:
        labels: class indices ``(N,)`` of type int64, or soft labels ``(N, Σψ)`` of floating type.
        num_images: N.
        psi: the hierarchy ψ.

    Raises:
        ValueError: naming the first image whose label is wrong, or the wrong shape or type.
    """
    num_classes = sum(psi)
    if labels.dtype == torch.int64 and labels.shape == (num_images,):
        _refuse(labels, (labels < 0) | (labels >= num_classes), f"a class between 0 and {num_classes - 1}")
    elif labels.is_floating_point() and labels.shape == (num_images, num_classes):
        _check_soft_labels(labels)
    else:
        raise ValueError(
            f"auxiliary labels must be class indices of type int64 and shape ({num_images},), or soft labels "
            f"of floating type and shape ({num_images}, {num_classes}) = (images, Σψ); got {labels.dtype} of "
            f"shape {tuple(labels.shape)}."
        )


def _check_soft_labels(labels: Tensor) -> None:
    _refuse(labels, ~labels.isfinite().all(dim=1), "finite")
    _refuse(labels, (labels < 0).any(dim=1), "non-negative")
    tolerance = max(1e-4, torch.finfo(labels.dtype).eps)  # as much as rounding to the labels' type can cost
    _refuse(labels, (labels.sum(dim=1, dtype=torch.float64) - 1).abs() > tolerance, "summing to one")


def _refuse(labels: Tensor, wrong: Tensor, required: str) -> None:
    if wrong.any():
        image = int(wrong.nonzero()[0])
        raise ValueError(
            f"the auxiliary label of image {image} is {labels[image].tolist()}, it must be {required} "
            f"({int(wrong.sum())} of {len(labels)} images have such a label): correct the label source."
        )
