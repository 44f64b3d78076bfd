"""CINIC-10: CIFAR-10 and down-scaled ImageNet in one."""

from typing import Any, Literal

from maxl_lightning.datamodules.photos import PhotoDataModule
from maxl_lightning.datasets.archive import archived_files, fetch_archive
from maxl_lightning.datasets.class_folders import ClassFolders
from maxl_lightning.datasets.download import DataFiles, Download
from maxl_lightning.datasets.image_files import ImageFiles
from maxl_lightning.datasets.view import LabelledImages

__all__ = ["CINIC10DataModule"]

ARCHIVE = Download(
    "https://datashare.ed.ac.uk/bitstream/handle/10283/3192/CINIC-10.tar.gz",
    "6ee4d0c996905fe93221de577967a372",
    "CINIC-10.tar.gz",
)


class CINIC10DataModule(PhotoDataModule):
    """CINIC-10: 90,000 images each to train, validate and test on, 32×32 pixels, in ``data_dir/CINIC-10``.

    The data set's authors offer two ways: to validate on the images of ``valid``, or to train on them too. Which one
    the paper took is not known. Cropping, flipping and normalisation are the authors' for CIFAR-100.

    Source: Darlow et al., *CINIC-10 Is Not ImageNet or CIFAR-10*, 2018.

    Args:
        valid: what the images of ``valid`` are for: "validate", of which ``val_fraction`` then changes nothing; or
            "train" with those of ``train``, and ``val_fraction`` of all 180,000 is held out for validation.
        **options: of :class:`ImageDataModule`.

    Raises:
        ValueError: if an argument is out of its range.
    """

    class_names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    mean = (0.5, 0.5, 0.5)
    std = (0.2, 0.2, 0.2)

    def __init__(self, valid: Literal["validate", "train"] = "validate", **options: Any) -> None:
        if valid not in ("validate", "train"):
            raise ValueError(f'valid is {valid!r}: choose "validate" or "train".')
        self.valid = valid
        super().__init__(**options)

    def download(self) -> None:
        """Download and unpack the archive unless the folder is there."""
        fetch_archive(self._files())

    def train_source(self) -> LabelledImages:
        """Return the 90,000 images of ``train``, or with those of ``valid`` 180,000."""
        train = self._images("train")
        if self.valid == "validate":
            return train
        samples = [*train.samples, *self._images("valid").samples]
        return ImageFiles([path for path, _ in samples], [target for _, target in samples])

    def val_source(self) -> LabelledImages | None:
        """Return the 90,000 images of ``valid``, if they are to validate on."""
        return self._images("valid") if self.valid == "validate" else None

    def test_source(self) -> LabelledImages:
        """Return the 90,000 images of ``test``."""
        return self._images("test")

    def _images(self, part: str) -> ClassFolders:
        with self._files().explained():
            return ClassFolders(self.data_dir / "CINIC-10" / part, self.class_names)

    def _files(self) -> DataFiles:
        return archived_files("CINIC-10", self.data_dir, "CINIC-10", ARCHIVE)
