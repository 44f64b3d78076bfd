"""Tiny ImageNet in the layout of its own archive."""

from collections.abc import Sequence
from pathlib import Path

from maxl_lightning.datasets.class_folders import ClassFolders
from maxl_lightning.datasets.image_files import ImageFiles
from maxl_lightning.datasets.naming import listed
from maxl_lightning.datasets.wordnet import read_wnids

__all__ = ["tiny_imagenet_train", "tiny_imagenet_val", "tiny_imagenet_wnids"]

_HOW_TO_GET = (
    "Fetch http://cs231n.stanford.edu/tiny-imagenet-200.zip (248 MB, md5 90528d7ca1a48142e341f4ef8d21d0de), unpack it, "
    "and name the folder that holds tiny-imagenet-200 with --data.data_dir or the environment variable MAXL_DATA_DIR."
)


def tiny_imagenet_wnids(root: str | Path) -> tuple[str, ...]:
    """Return the WordNet ids of the classes, as ``wnids.txt`` lists them.

    Args:
        root: the unpacked folder, ``tiny-imagenet-200`` or one of some of its classes.

    Raises:
        FileNotFoundError: if the data are not there; the message says how to get them.
        ValueError: if the list is malformed.
    """
    path = Path(root, "wnids.txt")
    if not path.is_file():
        raise FileNotFoundError(f"Tiny ImageNet was not found: {path.absolute()} is missing. {_HOW_TO_GET}")
    return read_wnids(path)


def tiny_imagenet_train(root: str | Path, wnids: Sequence[str]) -> ClassFolders:
    """Return the training images, ``train/<wnid>/images/*.JPEG``; some are grey, and come out as RGB.

    Args:
        root: the unpacked folder.
        wnids: the classes in the order of their numbers.

    Raises:
        FileNotFoundError: naming a class whose folder is missing.
        ValueError: naming a class without images.
    """
    return ClassFolders(Path(root, "train"), wnids)


def tiny_imagenet_val(root: str | Path, wnids: Sequence[str]) -> ImageFiles:
    """Return the validation images, ``val/images/*.JPEG``, with the classes of ``val/val_annotations.txt``.

    Each of its lines has the file's name, the WordNet id and the four numbers of a box, parted by tabs.

    Args:
        root: the unpacked folder.
        wnids: the classes in the order of their numbers.

    Raises:
        FileNotFoundError: if the annotations or an image are missing.
        ValueError: naming the first line that is malformed or names an unknown class, or a class without images.
    """
    path = Path(root, "val", "val_annotations.txt")
    if not path.is_file():
        raise FileNotFoundError(f"{path.absolute()} is missing, which tells the classes of val/images. {_HOW_TO_GET}")
    numbers = {wnid: number for number, wnid in enumerate(wnids)}
    files: dict[str, int] = {}
    for line, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        words = text.split()
        if len(words) < 2 or words[1] not in numbers:
            raise ValueError(
                f"line {line} of {path} is {text!r}: it must hold the name of an image and a WordNet id of wnids.txt."
            )
        files[words[0]] = numbers[words[1]]
    _check_val(path, files, wnids)
    return ImageFiles([path.parent / "images" / name for name in files], list(files.values()))


def _check_val(path: Path, files: dict[str, int], wnids: Sequence[str]) -> None:
    folder = path.parent / "images"
    there = {file.name for file in folder.iterdir()} if folder.is_dir() else set()
    missing = [name for name in files if name not in there]
    if missing:
        raise FileNotFoundError(f"{folder.absolute()} lacks {listed(missing)} of {path.name}. {_HOW_TO_GET}")
    filled = set(files.values())
    empty = [wnid for number, wnid in enumerate(wnids) if number not in filled]
    if empty:
        raise ValueError(f"{path} has no images of the classes {listed(empty)}: restore their lines. {_HOW_TO_GET}")
