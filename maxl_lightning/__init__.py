"""Meta AuXiliary Learning (MAXL) for PyTorch Lightning.

``maxl_lightning.functional`` and ``maxl_lightning.hypergradient`` need torch alone. The modules are imported on
first use, because importing Lightning takes seconds.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from maxl_lightning.datamodules import (
        CIFAR10DataModule,
        CIFAR100DataModule,
        CINIC10DataModule,
        DigitsDataModule,
        FashionMNISTDataModule,
        ImageFolderDataModule,
        ImageNetSubsetDataModule,
        ImagenetteDataModule,
        MNISTDataModule,
        SVHNDataModule,
        TinyImageNetDataModule,
        UCF101DataModule,
    )
    from maxl_lightning.modules import MAXLModule, MultiTaskModule, SingleTaskModule
    from maxl_lightning.networks import VGG16, Classifier, ConvNet4, LabelGenerator, MultiTaskNetwork, ResNet32

__version__ = "0.1.0"

_ROOMS = {
    "datamodules": (
        "CIFAR10DataModule",
        "CIFAR100DataModule",
        "CINIC10DataModule",
        "DigitsDataModule",
        "FashionMNISTDataModule",
        "ImageFolderDataModule",
        "ImageNetSubsetDataModule",
        "ImagenetteDataModule",
        "MNISTDataModule",
        "SVHNDataModule",
        "TinyImageNetDataModule",
        "UCF101DataModule",
    ),
    "modules": ("MAXLModule", "MultiTaskModule", "SingleTaskModule"),
    "networks": ("Classifier", "ConvNet4", "LabelGenerator", "MultiTaskNetwork", "ResNet32", "VGG16"),
}

__all__ = [
    "VGG16",
    "CIFAR10DataModule",
    "CIFAR100DataModule",
    "CINIC10DataModule",
    "Classifier",
    "ConvNet4",
    "DigitsDataModule",
    "FashionMNISTDataModule",
    "ImageFolderDataModule",
    "ImageNetSubsetDataModule",
    "ImagenetteDataModule",
    "LabelGenerator",
    "MAXLModule",
    "MNISTDataModule",
    "MultiTaskModule",
    "MultiTaskNetwork",
    "ResNet32",
    "SVHNDataModule",
    "SingleTaskModule",
    "TinyImageNetDataModule",
    "UCF101DataModule",
]


def __getattr__(name: str) -> object:
    for room, names in _ROOMS.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{room}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
