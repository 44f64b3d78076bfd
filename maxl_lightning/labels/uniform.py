"""Uniform labels: the control that says nothing."""

from collections.abc import Sequence

from torch import Tensor

from maxl_lightning.datasets.view import DatasetView
from maxl_lightning.functional import hierarchy_mask, uniform_labels
from maxl_lightning.labels.base import AuxiliaryLabels

__all__ = ["UniformLabels"]


class UniformLabels(AuxiliaryLabels):
    """Spread every image evenly over the block of its own primary class: the control without information.

    What it gains over a single task comes from the second loss, not from what the labels say.
    """

    def __call__(self, dataset: DatasetView, psi: Sequence[int]) -> Tensor:
        """Return 1/ψ inside the block of each image's primary class and 0 outside, ``(N, Σψ)``."""
        return uniform_labels(dataset.targets, hierarchy_mask(psi))
