"""ImageNet, or any of its classes, at any size."""

from typing import Any

from maxl_lightning.datamodules.photos import PhotoDataModule
from maxl_lightning.datasets.arguments import data_folder
from maxl_lightning.datasets.class_folders import ClassFolders, folder_names
from maxl_lightning.datasets.naming import listed
from maxl_lightning.datasets.view import LabelledImages
from maxl_lightning.datasets.wordnet import is_wnid, read_wnids, wordnet_names

__all__ = ["ImageNetSubsetDataModule"]

_HOW_TO_GET = (
    "Expected are train/<WordNet id>/*.JPEG and val/<WordNet id>/*.JPEG. ImageNet cannot be downloaded freely: ask for "
    "it at https://image-net.org/download.php, and torchvision.datasets.ImageNet unpacks it into these folders; or "
    "name the folder that holds it with --data.data_dir or the environment variable MAXL_DATA_DIR, and --data.folder."
)


class ImageNetSubsetDataModule(PhotoDataModule):
    """The images of some WordNet ids from a folder in ImageNet's layout, such as ImageNet-100 or ImageWoof.

    ``data_dir/folder/train/<wnid>/*.JPEG`` are to train on, and a share of them for validation; the test images are
    ``val/<wnid>/*.JPEG``, since the labels of ImageNet's own test images are secret. Classes are named by
    ``words.txt``, ``LOC_synset_mapping.txt`` or ``synset_words.txt`` beside these folders, else by their ids.

    The paper scaled ImageNet down for its VGG-16; its images and settings were not released. Small sizes are best
    read from a copy that was scaled down once, since photographs of full size take a CPU core about 10 ms each.

    Source: Russakovsky et al., *ImageNet Large Scale Visual Recognition Challenge*, IJCV 2015.

    Args:
        wnids: the WordNet ids of the classes, as a list, or as the path of a text file that has one on each line;
            None takes all there are.
        folder: the folder with ``train`` and ``val`` below ``data_dir``.
        image_size: height and width of what the network sees, in pixels: 32, 64, 224 or another.
        data_dir: folder of the data; None stands for the environment variable MAXL_DATA_DIR, else "data".
        **options: of :class:`ImageDataModule`.

    Attributes:
        wnids: WordNet ids of the classes, in the order of their numbers.

    Raises:
        FileNotFoundError: if the folder, the list or a class of it is missing; the message says how to get them.
        ValueError: if an argument is out of its range, or the list has something else than WordNet ids.
    """

    def __init__(
        self,
        wnids: list[str] | str | None = None,
        folder: str = "imagenet",
        image_size: int = 32,
        data_dir: str | None = None,
        **options: Any,
    ) -> None:
        self.root = data_folder(data_dir) / folder
        self.wnids = self._choose(wnids)
        self.class_names = wordnet_names(self.root, self.wnids)
        super().__init__(image_size, data_dir=data_dir, **options)

    def train_source(self) -> LabelledImages:
        """Return the images of ``train``."""
        return self._images("train")

    def test_source(self) -> LabelledImages:
        """Return the images of ``val``."""
        return self._images("val")

    def _choose(self, wnids: list[str] | str | None) -> tuple[str, ...]:
        try:
            there = [name for name in folder_names(self.root / "train") if is_wnid(name)]
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{error} {_HOW_TO_GET}") from error
        asked = tuple(there) if wnids is None else read_wnids(wnids)
        missing = sorted(set(asked) - set(there))
        if missing or not asked:
            lacking = listed(missing) if missing else "WordNet ids"
            raise FileNotFoundError(f"{(self.root / 'train').absolute()} has no folders of {lacking}. {_HOW_TO_GET}")
        return asked

    def _images(self, part: str) -> ClassFolders:
        try:
            return ClassFolders(self.root / part, self.wnids)
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{error} {_HOW_TO_GET}") from error
