"""Refusals of auxiliary labels that a loss would accept and silently train nonsense on."""

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["check_auxiliary_labels"]


def check_auxiliary_labels(labels: Tensor, num_images: int, psi: Sequence[int]) -> None:
    """Refuse labels that are not of the right type and shape, or no distributions.

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
