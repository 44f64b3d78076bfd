"""Data sets: what torchvision lacks, views with repeatable augmentation, and auxiliary labels as data."""

from maxl_lightning.datasets.cifar100 import HierarchicalCIFAR100
from maxl_lightning.datasets.cifar100_hierarchy import psi_between
from maxl_lightning.datasets.digits import Digits
from maxl_lightning.datasets.labels import (
    AuxiliaryDataset,
    AuxiliaryLabels,
    UniformLabels,
    check_auxiliary_labels,
)
from maxl_lightning.datasets.view import DatasetView

__all__ = [
    "AuxiliaryDataset",
    "AuxiliaryLabels",
    "DatasetView",
    "Digits",
    "HierarchicalCIFAR100",
    "UniformLabels",
    "check_auxiliary_labels",
    "psi_between",
]
