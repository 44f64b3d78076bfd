"""Imagenette: ten easy classes of ImageNet, free to download."""

from typing import Any

from maxl_lightning.datamodules.photos import PhotoDataModule
from maxl_lightning.datasets.archive import fetch_archive
from maxl_lightning.datasets.imagenette import IMAGENETTE_CLASSES, Imagenette, ImagenetteSize, imagenette_files
from maxl_lightning.datasets.view import LabelledImages

__all__ = ["ImagenetteDataModule"]


class ImagenetteDataModule(PhotoDataModule):
    """Imagenette (version 2): 9,469 training images of ten classes; its 3,925 validation images are the test set.

    The paper has no experiment on it. It is ImageNet at a size at which a laptop can train, through torchvision.

    Source: https://github.com/fastai/imagenette

    Args:
        image_size: height and width of what the network sees, in pixels.
        resolution: which archive to read: images at full size, or with a shorter side of 320 or 160 pixels.
        **options: of :class:`ImageDataModule`; ``data_dir`` holds, or shall hold, ``imagenette2-160`` or the folder
            of another resolution.

    Raises:
        ValueError: if an argument is out of its range.
    """

    class_names = IMAGENETTE_CLASSES

    def __init__(self, image_size: int = 128, resolution: ImagenetteSize = "160px", **options: Any) -> None:
        self.resolution: ImagenetteSize = resolution
        super().__init__(image_size, **options)
        imagenette_files(self.data_dir, resolution)  # refuses a resolution that does not exist

    def download(self) -> None:
        """Download and unpack the archive unless the folder is there."""
        files = imagenette_files(self.data_dir, self.resolution)
        fetch_archive(files, inside=next(iter(files.needed)))

    def train_source(self) -> LabelledImages:
        """Return the 9,469 images of ``train``."""
        return Imagenette(self.data_dir, "train", self.resolution)

    def test_source(self) -> LabelledImages:
        """Return the 3,925 images of ``val``."""
        return Imagenette(self.data_dir, "val", self.resolution)
