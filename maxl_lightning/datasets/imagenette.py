"""Imagenette with what a datamodule asks of a data set."""

from pathlib import Path
from typing import Literal

from torchvision.datasets import Imagenette as TorchvisionImagenette

from maxl_lightning.datasets.archive import archived_files
from maxl_lightning.datasets.download import DataFiles, Download
from maxl_lightning.datasets.photo import load_rgb

__all__ = ["IMAGENETTE_CLASSES", "Imagenette", "ImagenetteSize", "imagenette_files"]

ImagenetteSize = Literal["full", "320px", "160px"]

IMAGENETTE_CLASSES: tuple[str, ...] = tuple(names[0] for names in TorchvisionImagenette._WNID_TO_CLASS.values())
"""Names of the ten classes, in the order of their WordNet ids."""


class Imagenette(TorchvisionImagenette):  # type: ignore[misc]  # torchvision has no types
    """torchvision's Imagenette with its classes as ``targets``.

    Args:
        root: folder that holds ``imagenette2``, ``imagenette2-320`` or ``imagenette2-160``.
        split: "train" or "val".
        size: the archive's images: at full size, or with a shorter side of 320 or 160 pixels.

    Attributes:
        targets: primary classes, one int for each image.

    Raises:
        FileNotFoundError: if the data are not there; the message says how to get them.
        ValueError: on access, if an image cannot be read.
    """

    def __init__(self, root: str | Path, split: Literal["train", "val"], size: ImagenetteSize) -> None:
        with imagenette_files(root, size).explained():
            super().__init__(root, split, size, loader=load_rgb)
        self.targets = [target for _, target in self._samples]


def imagenette_files(root: str | Path, size: ImagenetteSize) -> DataFiles:
    """Return the folder of a size and its archive, with the md5 sum that torchvision knows.

    Args:
        root: folder that holds, or shall hold, the data.
        size: "full", "320px" or "160px".

    Raises:
        ValueError: if there is no such size.
    """
    if size not in TorchvisionImagenette._ARCHIVES:
        raise ValueError(f"size is {size!r}: choose {', '.join(TorchvisionImagenette._ARCHIVES)}.")
    url, md5 = TorchvisionImagenette._ARCHIVES[size]
    return archived_files("Imagenette", root, Path(url).stem, Download(url, md5, Path(url).name))
