"""What to tell a user whose download failed, in place of a hang or a bare "not found or corrupted"."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torchvision.datasets import CIFAR10
from torchvision.datasets.utils import calculate_md5

__all__ = ["cifar_problem", "network_timeout"]


@contextmanager
def network_timeout(seconds: float = 30.0) -> Iterator[None]:
    """Let connections opened in the block give up after a silence; torchvision's downloads set no limit.

    Args:
        seconds: longest wait for an answer.
    """
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def cifar_problem(dataset: type[CIFAR10], root: str | Path, name: str) -> FileNotFoundError | ValueError:
    """Say what is wrong with the files of CIFAR-10 or CIFAR-100, and how to get good ones.

    An interrupted download and a data set that was never there need different remedies, but torchvision
    reports both as one.

    Args:
        dataset: torchvision's class or a subclass: it knows the files and their md5 sums.
        root: the folder that should hold ``dataset.base_folder``.
        name: what the data set is called in the message.

    Returns:
        ``ValueError`` if a file is there but broken, else ``FileNotFoundError``; the caller raises it.
    """
    root = Path(root).absolute()
    files = {root / dataset.base_folder / file: md5 for file, md5 in _members(dataset)}
    for path, md5 in {**files, root / dataset.filename: dataset.tgz_md5}.items():
        if path.is_file() and (found := calculate_md5(path)) != md5:
            return ValueError(
                f"{path} is corrupt: its md5 is {found}, expected {md5}; an interrupted download leaves such "
                f"a file. Delete it and download again. {_how_to_get(dataset, root)}"
            )
    missing = ", ".join(str(path) for path in files if not path.is_file())
    return FileNotFoundError(f"{name} was not found in {root} (missing: {missing}). {_how_to_get(dataset, root)}")


def _members(dataset: type[CIFAR10]) -> list[tuple[str, str]]:
    lists = [*dataset.train_list, *dataset.test_list, [dataset.meta["filename"], dataset.meta["md5"]]]
    return [(file, md5) for file, md5 in lists]


def _how_to_get(dataset: type[CIFAR10], root: Path) -> str:
    return (
        "With a network, the datamodule's prepare_data() does it by itself. Without one, fetch "
        f"{dataset.url} (md5 {dataset.tgz_md5}; see https://www.cs.toronto.edu/~kriz/cifar.html) elsewhere "
        f"and put it into {root}: it is unpacked at the next start. If you have {dataset.base_folder} already, "
        "name the folder that holds it with --data.data_dir or the environment variable MAXL_DATA_DIR."
    )
