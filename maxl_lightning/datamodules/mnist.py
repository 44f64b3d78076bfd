"""MNIST's handwritten digits."""

from collections.abc import Callable
from typing import Any, ClassVar

from torchvision.datasets import MNIST

from maxl_lightning.datamodules.base import ImageDataModule
from maxl_lightning.datamodules.transforms import random_crop
from maxl_lightning.datasets.torchvision_files import mnist_files
from maxl_lightning.datasets.view import LabelledImages

__all__ = ["MNISTDataModule"]


class MNISTDataModule(ImageDataModule):
    """MNIST: 60,000 training and 10,000 test images of 28×28 grey pixels, in ``data_dir/MNIST/raw``.

    The paper's settings for MNIST were not released, so the augmentation is our reading: random crops after padding
    by 4 pixels as for CIFAR-100, but no flip, since a mirrored digit is another sign or none. Mean and standard
    deviation are those of the training images. The paper has no validation split; ``val_fraction=0`` reproduces that.

    Source: LeCun et al., *Gradient-Based Learning Applied to Document Recognition*, 1998.
    """

    dataset: ClassVar[type[MNIST]] = MNIST
    """torchvision's class."""
    class_names = tuple(str(digit) for digit in range(10))
    mean = (0.1307,)
    std = (0.3081,)

    def download(self) -> None:
        """Download and unpack the four files unless they are there."""
        self._read(train=False, download=True)

    def train_source(self) -> LabelledImages:
        """Return the 60,000 training images."""
        return self._read(train=True)

    def test_source(self) -> LabelledImages:
        """Return the 10,000 test images."""
        return self._read(train=False)

    def augmentation(self) -> Callable[[Any], Any]:
        """Return a random crop."""
        return random_crop(28, flip=False)

    def _read(self, train: bool, download: bool = False) -> LabelledImages:
        with mnist_files(self.dataset, self.data_dir).explained():
            images: LabelledImages = self.dataset(self.data_dir, train, download=download)
        return images
