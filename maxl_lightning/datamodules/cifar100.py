"""CIFAR-100 at any two levels of the paper's hierarchy."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

from torch import Tensor
from torchvision.transforms import v2

from maxl_lightning.datamodules.base import ImageDataModule
from maxl_lightning.datasets.cifar100 import HierarchicalCIFAR100
from maxl_lightning.datasets.cifar100_hierarchy import check_level, class_names, psi_between
from maxl_lightning.datasets.view import LabelledImages
from maxl_lightning.labels import AuxiliaryLabels

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
        data_dir: folder that holds, or shall hold, ``cifar-100-python``; None stands for the environment
            variable MAXL_DATA_DIR, else "data".
        batch_size: images in a training batch of one process.
        eval_batch_size: images in a validation or test batch; None stands for ``batch_size``.
        num_workers: processes that load images for each loader.
        val_fraction: share of the 50,000 training images that is held out for validation.
        num_train: how many of the remaining images to train on; None stands for all of them.
        split_seed: seed of the splits.
        seed: seed of order and augmentation; None stands for the seed of Lightning's ``seed_everything``,
            else 0.
        psi: the hierarchy ψ; None reads it from the two levels, if ``auxiliary_classes`` is the finer one,
            and else leaves it out.
        auxiliary_labels: source of auxiliary labels for the training images.
        pin_memory: load into page-locked memory; None does so where CUDA is available.

    Raises:
        ValueError: if an argument is out of its range.
    """

    mean = (0.5, 0.5, 0.5)
    std = (0.2, 0.2, 0.2)

    def __init__(
        self,
        num_classes: Literal[3, 10, 20, 100] = 20,
        auxiliary_classes: Literal[10, 20, 100] = 100,
        data_dir: str | None = None,
        batch_size: int = 100,
        eval_batch_size: int | None = None,
        num_workers: int = 2,
        val_fraction: float = 0.1,
        num_train: int | None = None,
        split_seed: int = 0,
        seed: int | None = None,
        psi: int | list[int] | None = None,
        auxiliary_labels: AuxiliaryLabels | None = None,
        pin_memory: bool | None = None,
    ) -> None:
        self.class_names = class_names(num_classes)
        check_level(auxiliary_classes, "auxiliary_classes")
        self.level: Literal[3, 10, 20, 100] = num_classes
        if psi is None and auxiliary_classes > num_classes:
            psi = list(psi_between(num_classes, auxiliary_classes))
        super().__init__(
            data_dir=data_dir,
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            num_workers=num_workers,
            val_fraction=val_fraction,
            num_train=num_train,
            split_seed=split_seed,
            seed=seed,
            psi=psi,
            auxiliary_labels=auxiliary_labels,
            pin_memory=pin_memory,
        )

    def prepare_data(self) -> None:
        """Download the data unless they are there.

        Raises:
            FileNotFoundError: if they are not and cannot be had; the message says how to get them.
            ValueError: if a file is corrupt and no good one can be had.
        """
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
        augmentation: Callable[[Any], Any] = v2.Compose([v2.RandomCrop(32, padding=4), v2.RandomHorizontalFlip()])
        return augmentation
