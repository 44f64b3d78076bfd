"""Auxiliary labels as data: where the labels of the given-label methods come from."""

from maxl_lightning.labels.base import AuxiliaryLabels
from maxl_lightning.labels.checks import check_auxiliary_labels
from maxl_lightning.labels.dataset import AuxiliaryDataset
from maxl_lightning.labels.human import HumanLabels
from maxl_lightning.labels.kmeans import KMeansLabels
from maxl_lightning.labels.random import RandomLabels
from maxl_lightning.labels.saved import SavedLabels
from maxl_lightning.labels.uniform import UniformLabels

__all__ = [
    "AuxiliaryDataset",
    "AuxiliaryLabels",
    "HumanLabels",
    "KMeansLabels",
    "RandomLabels",
    "SavedLabels",
    "UniformLabels",
    "check_auxiliary_labels",
]
