"""SVHN: digits of house numbers."""

from collections.abc import Callable
from typing import Any

from maxl_lightning.datamodules.base import ImageDataModule
from maxl_lightning.datamodules.transforms import random_crop
from maxl_lightning.datasets.svhn import SVHN
from maxl_lightning.datasets.view import LabelledImages

__all__ = ["SVHNDataModule"]


class SVHNDataModule(ImageDataModule):
    """SVHN's cropped digits: 73,257 training and 26,032 test images, as ``train_32x32.mat`` and ``test_32x32.mat``.

    The set of 531,131 extra images is not used. The paper's settings for SVHN were not released: normalisation and
    random crops are those of CIFAR-100, but without its flip, since a mirrored digit is another sign or none. The
    paper has no validation split; ``val_fraction=0`` reproduces that.

    Source: Netzer et al., *Reading Digits in Natural Images with Unsupervised Feature Learning*, 2011.
    """

    class_names = tuple(str(digit) for digit in range(10))
    mean = (0.5, 0.5, 0.5)
    std = (0.2, 0.2, 0.2)

    def download(self) -> None:
        """Download the two files unless they are there."""
        SVHN(self.data_dir, "train", download=True)
        SVHN(self.data_dir, "test", download=True)

    def train_source(self) -> LabelledImages:
        """Return the 73,257 training images."""
        return SVHN(self.data_dir, "train")

    def test_source(self) -> LabelledImages:
        """Return the 26,032 test images."""
        return SVHN(self.data_dir, "test")

    def augmentation(self) -> Callable[[Any], Any]:
        """Return a random crop."""
        return random_crop(32, flip=False)
