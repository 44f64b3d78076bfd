"""The files of torchvision's data sets, as torchvision's classes know them."""

import math
from pathlib import Path

from torchvision.datasets import CIFAR10, MNIST, SVHN

from maxl_lightning.datasets.download import DataFiles, Download, md5_check

__all__ = ["cifar_files", "mnist_files", "svhn_files"]


def cifar_files(dataset: type[CIFAR10], root: str | Path, name: str) -> DataFiles:
    """Return the files of CIFAR-10 or CIFAR-100: one archive of pickles.

    Args:
        dataset: torchvision's class or a subclass.
        root: the folder that should hold ``dataset.base_folder``.
        name: what the data set is called in messages.
    """
    md5s = dict([*dataset.train_list, *dataset.test_list, (dataset.meta["filename"], dataset.meta["md5"])])
    needed = {f"{dataset.base_folder}/{file}": md5_check(md5) for file, md5 in md5s.items()}
    return DataFiles(name, Path(root), needed, [Download(dataset.url, dataset.tgz_md5, dataset.filename)])


def mnist_files(dataset: type[MNIST], root: str | Path) -> DataFiles:
    """Return the files of MNIST or FashionMNIST: four of them, each packed by itself.

    There are no published md5 sums of the unpacked files, but their headers tell how long they should be.

    Args:
        dataset: torchvision's class, whose name folder and messages have.
        root: the folder that should hold the data set's own.
    """
    folder = f"{dataset.__name__}/raw"
    downloads = [Download(dataset.mirrors[0] + file, md5, f"{folder}/{file}") for file, md5 in dataset.resources]
    needed = {download.path.removesuffix(".gz"): wrong_length for download in downloads}
    return DataFiles(dataset.__name__, Path(root), needed, downloads)


def svhn_files(root: str | Path) -> DataFiles:
    """Return the files of SVHN's cropped digits: one of MATLAB's for each split, ``extra`` left out.

    Args:
        root: the folder that should hold them.
    """
    downloads = [Download(url, md5, file) for url, file, md5 in (SVHN.split_list[split] for split in ("train", "test"))]
    return DataFiles("SVHN", Path(root), {file: md5_check(md5) for _, md5, file in downloads}, downloads)


def wrong_length(path: Path) -> str | None:
    """Say if a file of MNIST's format is shorter or longer than its header tells.

    The header is two zero bytes, the type (8, bytes), the number of dimensions and the big-endian sizes
    (LeCun, *The MNIST database of handwritten digits*).
    """
    content = path.read_bytes()
    dimensions = content[3] if content[:3] == b"\0\0\x08" and len(content) > 3 else 0
    header = 4 * (dimensions + 1)
    if not dimensions or len(content) < header:
        return f"its {len(content)} bytes begin with no header of this format"
    sizes = [int.from_bytes(content[place : place + 4], "big") for place in range(4, header, 4)]
    expected = header + math.prod(sizes)
    return None if len(content) == expected else f"it has {len(content)} bytes, by its header it should have {expected}"
