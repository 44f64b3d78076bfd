"""Datamodules: download, split, transforms and loaders of each data set."""

from maxl_lightning.datamodules.base import ImageDataModule
from maxl_lightning.datamodules.cifar100 import CIFAR100DataModule
from maxl_lightning.datamodules.digits import DigitsDataModule
from maxl_lightning.datamodules.loader import EpochLoader
from maxl_lightning.datamodules.sampler import EpochSampler

__all__ = ["CIFAR100DataModule", "DigitsDataModule", "EpochLoader", "EpochSampler", "ImageDataModule"]
