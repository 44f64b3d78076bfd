"""Tiny ImageNet: 200 classes of ImageNet at 64 pixels."""

from typing import Any

from maxl_lightning.datamodules.photos import PhotoDataModule
from maxl_lightning.datasets.arguments import data_folder
from maxl_lightning.datasets.tiny_imagenet import tiny_imagenet_train, tiny_imagenet_val, tiny_imagenet_wnids
from maxl_lightning.datasets.view import LabelledImages
from maxl_lightning.datasets.wordnet import wordnet_names

__all__ = ["TinyImageNetDataModule"]


class TinyImageNetDataModule(PhotoDataModule):
    """Tiny ImageNet as its archive is laid out: 500 training images of each class, 64×64 pixels, some of them grey.

    The classes are those of ``wnids.txt``, named by ``words.txt``, so that a folder of fewer classes works too. The
    50 validation images of each class are the test set, since the labels of the test images were never released.

    The paper has no experiment on it. Source: Stanford's course CS231n, 2015.

    Args:
        folder: the unpacked archive, below ``data_dir``.
        image_size: height and width of what the network sees, in pixels; 32 scales the images down.
        data_dir: folder of the data; None stands for the environment variable MAXL_DATA_DIR, else "data".
        **options: of :class:`ImageDataModule`.

    Attributes:
        wnids: WordNet ids of the classes, in the order of their numbers.

    Raises:
        FileNotFoundError: if the data are not there; the message says how to get them.
        ValueError: if an argument is out of its range, or ``wnids.txt`` is malformed.
    """

    def __init__(
        self,
        folder: str = "tiny-imagenet-200",
        image_size: int = 64,
        data_dir: str | None = None,
        **options: Any,
    ) -> None:
        self.root = data_folder(data_dir) / folder
        self.wnids = tiny_imagenet_wnids(self.root)
        self.class_names = wordnet_names(self.root, self.wnids)
        super().__init__(image_size, data_dir=data_dir, **options)

    def train_source(self) -> LabelledImages:
        """Return the images of ``train``."""
        return tiny_imagenet_train(self.root, self.wnids)

    def test_source(self) -> LabelledImages:
        """Return the images of ``val``."""
        return tiny_imagenet_val(self.root, self.wnids)
