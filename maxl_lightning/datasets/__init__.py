"""Data sets: what torchvision lacks, and views with repeatable augmentation."""

from maxl_lightning.datasets.cifar100 import HierarchicalCIFAR100
from maxl_lightning.datasets.cifar100_hierarchy import psi_between
from maxl_lightning.datasets.class_folders import ClassFolders
from maxl_lightning.datasets.digits import Digits
from maxl_lightning.datasets.image_files import ImageFiles
from maxl_lightning.datasets.imagenette import Imagenette
from maxl_lightning.datasets.svhn import SVHN
from maxl_lightning.datasets.ucf101 import UCF101Frames
from maxl_lightning.datasets.view import DatasetView

__all__ = [
    "SVHN",
    "ClassFolders",
    "DatasetView",
    "Digits",
    "HierarchicalCIFAR100",
    "ImageFiles",
    "Imagenette",
    "UCF101Frames",
    "psi_between",
]
