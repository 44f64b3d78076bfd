"""FashionMNIST: clothes in place of MNIST's digits."""

from collections.abc import Callable
from typing import Any

from torchvision.datasets import FashionMNIST

from maxl_lightning.datamodules.mnist import MNISTDataModule
from maxl_lightning.datamodules.transforms import random_crop

__all__ = ["FashionMNISTDataModule"]


class FashionMNISTDataModule(MNISTDataModule):
    """FashionMNIST, in ``data_dir/FashionMNIST/raw``: MNIST's numbers and sizes of images, but a harder task.

    It is not in the paper. Training images are cropped at random after padding by 4 pixels and flipped, since clothes
    have no handedness. Mean and standard deviation are those of the training images.

    Source: Xiao, Rasul and Vollgraf, *Fashion-MNIST*, 2017, arXiv 1708.07747.
    """

    dataset = FashionMNIST
    class_names = tuple(FashionMNIST.classes)
    mean = (0.2860,)
    std = (0.3530,)

    def augmentation(self) -> Callable[[Any], Any]:
        """Return a random crop and flip."""
        return random_crop(28, flip=True)
