"""Images sorted into one folder for each class, and perhaps into sub-folders for its sub-classes."""

import os
from collections.abc import Sequence
from copy import copy
from pathlib import Path

import torch
from torch import Tensor
from torchvision.datasets import ImageFolder
from torchvision.datasets.folder import is_image_file

from maxl_lightning.datasets.naming import listed
from maxl_lightning.datasets.photo import load_rgb

__all__ = ["ClassFolders", "folder_names", "subclasses"]


class ClassFolders(ImageFolder):  # type: ignore[misc]  # torchvision has no types
    """The images below ``root/<class>``, at any depth.

    torchvision numbers the folders that it finds, so that a class missing from the test folder would shift the
    numbers of those after it. Here the classes can be given, and are then the same for every part of a data set.

    Args:
        root: folder of the class folders.
        classes: names of the class folders, in the order of their numbers; None takes all there are, sorted.

    Attributes:
        targets: primary classes, one int for each image.
        classes: names of the class folders.
        samples: path and primary class of each image.

    Raises:
        FileNotFoundError: if the folder or a class folder is missing.
        ValueError: if a class folder holds no image; on access, if an image cannot be read.
    """

    def __init__(self, root: str | Path, classes: Sequence[str] | None = None) -> None:
        self._asked = classes
        super().__init__(root, loader=load_rgb, is_valid_file=_is_image, allow_empty=True)
        filled = set(self.targets)
        empty = [name for name, number in self.class_to_idx.items() if number not in filled]
        if empty:
            raise ValueError(
                f"{root} has no images of the classes {listed(empty)}: put some into their folders (jpg, png and "
                "others that torchvision reads), or remove these folders."
            )

    def find_classes(self, directory: str | Path) -> tuple[list[str], dict[str, int]]:
        """Return the names of the class folders, and the number of each.

        Raises:
            FileNotFoundError: if the folder or a class folder is missing.
        """
        there = folder_names(directory)
        classes = list(there if self._asked is None else self._asked)
        missing = sorted(set(classes) - set(there))
        if missing:
            raise FileNotFoundError(
                f"{Path(directory).absolute()} has no folders of the classes {listed(missing)}; it has {listed(there)}."
            )
        return classes, {name: number for number, name in enumerate(classes)}

    def subset(self, indices: Tensor) -> "ClassFolders":
        """Return the data set of some of the images.

        Args:
            indices: numbers of the images, int64 ``(M,)``.
        """
        part = copy(self)
        part.samples = part.imgs = [self.samples[index] for index in indices.tolist()]
        part.targets = [target for _, target in part.samples]
        return part

    @property
    def files(self) -> list[str]:
        """Path of each image below ``root``, such as "cat/1.jpg"."""
        return [Path(path).relative_to(self.root).as_posix() for path, _ in self.samples]

    def finer_targets(self, num_auxiliary: int) -> Tensor:
        """Return the sub-class of every image: the sub-folder of its class folder that it lies in.

        A class without sub-folders is its own only sub-class. The sub-classes of a class are a contiguous block,
        sorted by name.

        Args:
            num_auxiliary: number of sub-classes of all classes.

        Returns:
            Class indices, int64 ``(N,)``; they fit ψ = the numbers of sub-folders.

        Raises:
            ValueError: if there is another number of them, or an image lies beside the sub-folders.
        """
        names = subclasses(self.root, self.classes)
        keys = [(number, name) for number, below in enumerate(names) for name in below]
        if len(keys) != num_auxiliary:
            raise ValueError(
                f"{self.root} has {len(keys)} sub-folders of classes, not {num_auxiliary}: "
                f"use psi={[len(below) for below in names]}."
            )
        position = {key: index for index, key in enumerate(keys)}
        return torch.tensor([position[target, self._subclass(path, names[target])] for path, target in self.samples])

    def _subclass(self, path: str, names: Sequence[str]) -> str:
        if len(names) == 1:
            return names[0]
        folder = Path(path).relative_to(self.root).parts[1]
        if folder not in names:
            raise ValueError(f"{path} lies beside the sub-folders {listed(names)} of its class: move it into one.")
        return folder


def folder_names(root: str | Path) -> tuple[str, ...]:
    """Return the names of the folders in a folder, sorted, without hidden ones.

    Raises:
        FileNotFoundError: if there is no such folder, or no folder in it.
    """
    there = Path(root).is_dir()
    names = _folders(root) if there else []
    if not names:
        raise FileNotFoundError(
            f"{Path(root).absolute()} {'holds no folders' if there else 'is no folder'}: one with a folder of images "
            "for each class is expected, <folder>/<class>/*.jpg."
        )
    return tuple(names)


def subclasses(root: str | Path, classes: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the names of the sub-folders of each class; a class that has none is its own only sub-class.

    Args:
        root: folder of the class folders.
        classes: names of the class folders.
    """
    return [tuple(_folders(Path(root, name))) or (name,) for name in classes]


def _folders(root: str | Path) -> list[str]:
    with os.scandir(root) as entries:
        # hidden ones are other programs', such as .ipynb_checkpoints
        return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))


def _is_image(path: str) -> bool:
    return bool(is_image_file(path)) and not Path(path).name.startswith(".")  # such as macOS's ._photo.jpg
