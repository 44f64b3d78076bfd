"""What a source of auxiliary labels is.

A method that learns from given auxiliary labels should not know where they come from. So a label source is a
callable that labels a whole data set once, and the data hand the labels out beside the images.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor

from maxl_lightning.datasets.view import DatasetView

__all__ = ["AuxiliaryLabels"]


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

    def prepare(self, dataset: DatasetView, psi: Sequence[int]) -> None:  # noqa: B027 - most have nothing to prepare
        """Do what takes long and leave it on disk, where the labelling of every process then finds it.

        Called in one process of each machine, before any asks for labels. Most sources have nothing to prepare.

        Args:
            dataset: the N training images, as above.
            psi: the hierarchy ψ.
        """
