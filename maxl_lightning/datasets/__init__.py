"""Data sets: what torchvision lacks, and views with repeatable augmentation."""

from maxl_lightning.datasets.cifar100 import HierarchicalCIFAR100
from maxl_lightning.datasets.cifar100_hierarchy import psi_between
from maxl_lightning.datasets.digits import Digits
from maxl_lightning.datasets.svhn import SVHN
from maxl_lightning.datasets.view import DatasetView

__all__ = [
    "SVHN",
    "DatasetView",
    "Digits",
    "HierarchicalCIFAR100",
    "psi_between",
]
