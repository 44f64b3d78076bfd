"""CIFAR-10."""

from collections.abc import Callable
from typing import Any

from torchvision.datasets import CIFAR10

from maxl_lightning.datamodules.base import ImageDataModule
from maxl_lightning.datamodules.transforms import random_crop
from maxl_lightning.datasets.torchvision_files import cifar_files
from maxl_lightning.datasets.view import LabelledImages

__all__ = ["CIFAR10DataModule"]


class CIFAR10DataModule(ImageDataModule):
    """CIFAR-10: 50,000 training and 10,000 test images of ten classes, in ``data_dir/cifar-10-batches-py``.

    Images are cropped, flipped and normalised as the authors did with CIFAR-100. The paper has no validation
    split; ``val_fraction=0`` reproduces that.

    Source: Krizhevsky, *Learning Multiple Layers of Features from Tiny Images*, 2009.
    """

    class_names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    mean = (0.5, 0.5, 0.5)
    std = (0.2, 0.2, 0.2)

    def download(self) -> None:
        """Download and unpack the archive unless the files are there."""
        self._read(train=False, download=True)

    def train_source(self) -> LabelledImages:
        """Return the 50,000 training images."""
        return self._read(train=True)

    def test_source(self) -> LabelledImages:
        """Return the 10,000 test images."""
        return self._read(train=False)

    def augmentation(self) -> Callable[[Any], Any]:
        """Return the paper's random crop and flip."""
        return random_crop(32, flip=True)

    def _read(self, train: bool, download: bool = False) -> LabelledImages:
        with cifar_files(CIFAR10, self.data_dir, "CIFAR-10").explained():
            images: LabelledImages = CIFAR10(self.data_dir, train, download=download)
        return images
