"""SVHN's cropped digits with the attribute that torchvision's other data sets have."""

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from torchvision import datasets

from maxl_lightning.datasets.torchvision_files import svhn_files

__all__ = ["SVHN"]


class SVHN(datasets.SVHN):  # type: ignore[misc]  # torchvision has no types
    """House numbers cut into single digits of 32×32 pixels, in colour.

    Source: Netzer et al., *Reading Digits in Natural Images with Unsupervised Feature Learning*, 2011.

    Args:
        root: folder that holds, or shall hold, ``train_32x32.mat`` and ``test_32x32.mat``.
        split: "train" (73,257 images) or "test" (26,032).
        download: fetch the split from the data set's page unless it is there.

    Raises:
        FileNotFoundError: if the file is missing and not to be had.
        ValueError: if it is corrupt.
    """

    def __init__(self, root: str | Path, split: Literal["train", "test"] = "train", download: bool = False) -> None:
        with svhn_files(root).explained():
            super().__init__(root, split, download=download)

    @property
    def targets(self) -> Tensor:
        """Digits, int64 ``(N,)``."""
        return torch.from_numpy(self.labels)
