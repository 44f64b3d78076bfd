"""CIFAR-100 at any two levels of the paper's hierarchy."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

from torch import Tensor

from maxl_lightning.datamodules.base import ImageDataModule
from maxl_lightning.datamodules.transforms import random_crop
from maxl_lightning.datasets.cifar100 import HierarchicalCIFAR100
from maxl_lightning.datasets.cifar100_hierarchy import check_level, class_names, psi_between
from maxl_lightning.datasets.view import LabelledImages

__all__ = ["CIFAR100DataModule"]


class CIFAR100DataModule(ImageDataModule):
    """CIFAR-100 as in the paper's section 4.3: primary classes of one level, auxiliary classes of a finer one.

    Training images are cropped at random after padding by 4 pixels, and flipped. All are normalised with the
    authors' mean 0.5 and standard deviation 0.2 for each channel.

    The paper has no validation split; ``val_fraction=0`` reproduces that. The default holds out a tenth, so
    that nothing has to be chosen on the test images.

    Args:
        num_classes: number of primary classes.
        auxiliary_classes: number of auxiliary classes that ψ is read from, unless it is given.
        psi: the hierarchy ψ; None reads it from the two levels, if ``auxiliary_classes`` is the finer one,
            and else leaves it out.
        **options: of :class:`ImageDataModule`; ``data_dir`` holds, or shall hold, ``cifar-100-python``.

    Raises:
        ValueError: if an argument is out of its range.
    """

    mean = (0.5, 0.5, 0.5)
    std = (0.2, 0.2, 0.2)

    def __init__(
        self,
        num_classes: Literal[3, 10, 20, 100] = 20,
        auxiliary_classes: Literal[10, 20, 100] = 100,
        psi: int | list[int] | None = None,
        **options: Any,
    ) -> None:
        self.class_names = class_names(num_classes)
        check_level(auxiliary_classes, "auxiliary_classes")
        self.level: Literal[3, 10, 20, 100] = num_classes
        if psi is None and auxiliary_classes > num_classes:
            psi = list(psi_between(num_classes, auxiliary_classes))
        super().__init__(psi=psi, **options)

    def download(self) -> None:
        """Download and unpack the archive unless the files are there."""
        HierarchicalCIFAR100(self.data_dir, self.level, train=False, download=True)

    def train_source(self) -> LabelledImages:
        """Return the 50,000 training images."""
        return HierarchicalCIFAR100(self.data_dir, self.level, train=True)

    def test_source(self) -> LabelledImages:
        """Return the 10,000 test images."""
        return HierarchicalCIFAR100(self.data_dir, self.level, train=False)

    def strata(self, source: LabelledImages) -> Sequence[int] | Tensor:
        """Return the 100 fine classes, whatever the level: all levels then have the same splits."""
        return source.fine_targets if isinstance(source, HierarchicalCIFAR100) else super().strata(source)

    def augmentation(self) -> Callable[[Any], Any]:
        """Return the paper's random crop and flip."""
        return random_crop(32, flip=True)
