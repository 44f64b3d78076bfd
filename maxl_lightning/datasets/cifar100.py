"""CIFAR-100 with its hierarchy of 3, 10, 20 and 100 classes."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torchvision.datasets import CIFAR100

from maxl_lightning.datasets.cifar100_hierarchy import block_order, class_names, coarser_classes
from maxl_lightning.datasets.torchvision_files import cifar_files

__all__ = ["HierarchicalCIFAR100"]


class HierarchicalCIFAR100(CIFAR100):  # type: ignore[misc]  # torchvision has no types
    """CIFAR-100 whose targets are the classes of any level of the paper's hierarchy.

    torchvision reads the 100 fine labels only; the files hold the 20 coarse ones too, and the two coarser
    levels follow from those.

    Source: Krizhevsky, *Learning Multiple Layers of Features from Tiny Images*, 2009.

    Args:
        root: folder that holds, or shall hold, ``cifar-100-python``.
        num_classes: level of the primary classes.
        train: the 50,000 training images, or else the 10,000 test images.
        transform: called with the PIL image.
        target_transform: called with the primary class.
        download: fetch the archive from the data set's page unless the files are there.

    Attributes:
        targets: primary classes, one int for each image.
        fine_targets: the data set's 100 fine classes, int64 ``(N,)``.
        coarse_targets: the data set's 20 coarse classes, int64 ``(N,)``.
        classes: names of the primary classes.

    Raises:
        FileNotFoundError: if files are missing and not to be had.
        ValueError: if a file is corrupt, or there is no such level.
    """

    def __init__(
        self,
        root: str | Path,
        num_classes: Literal[3, 10, 20, 100] = 20,
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        download: bool = False,
    ) -> None:
        self.targets: list[int]
        names = class_names(num_classes)
        self.num_classes = num_classes
        with cifar_files(type(self), root, "CIFAR-100").explained():
            super().__init__(root, train, transform, target_transform, download)
        self.fine_targets = torch.tensor(self.targets)
        self.coarse_targets = self._read_coarse_targets()
        self.targets = self.level_targets(num_classes).tolist()
        self.classes = list(names)
        self.class_to_idx = {name: number for number, name in enumerate(names)}

    def level_targets(self, level: int) -> Tensor:
        """Return the classes of every image at a level of the hierarchy, int64 ``(N,)``.

        Args:
            level: 3, 10, 20 or 100.

        Raises:
            ValueError: if there is no such level.
        """
        if level == 100:
            return self.fine_targets
        return torch.tensor(coarser_classes(level, 20))[self.coarse_targets]

    def finer_targets(self, num_auxiliary: int) -> Tensor:
        """Return the finer class of every image, numbered as ψ lays the auxiliary classes out.

        The auxiliary classes of a primary class are a contiguous block, so that these labels fit
        ``psi_between(num_classes, num_auxiliary)``.

        Args:
            num_auxiliary: 10, 20 or 100 classes, at least as many as the primary level has.

        Returns:
            Class indices, int64 ``(N,)``.

        Raises:
            ValueError: if there is no such level, or it is coarser than the primary one.
        """
        return torch.tensor(block_order(self.num_classes, num_auxiliary))[self.level_targets(num_auxiliary)]

    def _read_coarse_targets(self) -> Tensor:
        file, _ = (self.train_list if self.train else self.test_list)[0]
        with open(Path(self.root, self.base_folder, file), "rb") as stream:
            entry = pickle.load(stream, encoding="latin1")  # its md5 has been checked
        return torch.tensor(entry["coarse_labels"])
