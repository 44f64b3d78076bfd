"""Datamodules: download, split, transforms and loaders of each data set."""

from maxl_lightning.datamodules.base import ImageDataModule
from maxl_lightning.datamodules.cifar10 import CIFAR10DataModule
from maxl_lightning.datamodules.cifar100 import CIFAR100DataModule
from maxl_lightning.datamodules.cinic10 import CINIC10DataModule
from maxl_lightning.datamodules.digits import DigitsDataModule
from maxl_lightning.datamodules.fashion_mnist import FashionMNISTDataModule
from maxl_lightning.datamodules.image_folder import ImageFolderDataModule
from maxl_lightning.datamodules.imagenet import ImageNetSubsetDataModule
from maxl_lightning.datamodules.imagenette import ImagenetteDataModule
from maxl_lightning.datamodules.loader import EpochLoader
from maxl_lightning.datamodules.mnist import MNISTDataModule
from maxl_lightning.datamodules.photos import PhotoDataModule
from maxl_lightning.datamodules.sampler import EpochSampler
from maxl_lightning.datamodules.svhn import SVHNDataModule
from maxl_lightning.datamodules.tiny_imagenet import TinyImageNetDataModule
from maxl_lightning.datamodules.ucf101 import UCF101DataModule

__all__ = [
    "CIFAR10DataModule",
    "CIFAR100DataModule",
    "CINIC10DataModule",
    "DigitsDataModule",
    "EpochLoader",
    "EpochSampler",
    "FashionMNISTDataModule",
    "ImageDataModule",
    "ImageFolderDataModule",
    "ImageNetSubsetDataModule",
    "ImagenetteDataModule",
    "MNISTDataModule",
    "PhotoDataModule",
    "SVHNDataModule",
    "TinyImageNetDataModule",
    "UCF101DataModule",
]
