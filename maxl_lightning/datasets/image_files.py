"""Image files and their classes, decoded when they are asked for."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from torch.utils.data import Dataset

from maxl_lightning.datasets.photo import load_rgb

__all__ = ["ImageFiles"]


class ImageFiles(Dataset[tuple[Image.Image, int]]):
    """Image files listed one by one, for data sets whose folders do not tell the class.

    Nothing is kept in memory but the paths: the loader's workers decode each image when it is its turn.

    Args:
        paths: the N files.
        targets: primary class of each.

    Attributes:
        targets: primary classes, one int for each image.

    Raises:
        ValueError: if there are not as many classes as files; on access, if a file cannot be read.
    """

    def __init__(self, paths: Sequence[str | Path], targets: Sequence[int]) -> None:
        if len(paths) != len(targets):
            raise ValueError(f"there are {len(paths)} image files but {len(targets)} classes: give one for each.")
        self.paths = [str(path) for path in paths]
        self.targets = list(targets)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        return load_rgb(self.paths[index]), self.targets[index]

    @property
    def files(self) -> list[str]:
        """The last three parts of each path, such as "train/cat/1.jpg": the same wherever the data set lies."""
        return ["/".join(Path(path).parts[-3:]) for path in self.paths]
