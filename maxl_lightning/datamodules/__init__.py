"""Datamodules: download, split, transforms and loaders of each data set."""

from maxl_lightning.datamodules.base import ImageDataModule
from maxl_lightning.datamodules.cifar10 import CIFAR10DataModule
from maxl_lightning.datamodules.cifar100 import CIFAR100DataModule
from maxl_lightning.datamodules.digits import DigitsDataModule
from maxl_lightning.datamodules.fashion_mnist import FashionMNISTDataModule
from maxl_lightning.datamodules.loader import EpochLoader
from maxl_lightning.datamodules.mnist import MNISTDataModule
from maxl_lightning.datamodules.sampler import EpochSampler
from maxl_lightning.datamodules.svhn import SVHNDataModule

__all__ = [
    "CIFAR10DataModule",
    "CIFAR100DataModule",
    "DigitsDataModule",
    "EpochLoader",
    "EpochSampler",
    "FashionMNISTDataModule",
    "ImageDataModule",
    "MNISTDataModule",
    "SVHNDataModule",
]
