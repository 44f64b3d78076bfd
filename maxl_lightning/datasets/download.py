"""What to tell a user whose data are missing or broken, in place of a hang or a bare "not found or corrupted"."""

import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from torchvision.datasets.utils import calculate_md5

__all__ = ["Check", "DataFiles", "Download", "md5_check", "network_timeout"]

Check = Callable[[Path], str | None]
"""Says what is wrong with a file that is there; None if nothing is."""


class Download(NamedTuple):
    """A file as its publisher offers it."""

    url: str
    md5: str
    path: str
    """Where it is put, relative to the folder of the data."""


@dataclass(frozen=True)
class DataFiles:
    """The files of a data set: where they lie, how to tell broken ones, and where to get good ones.

    torchvision reports an interrupted download, a file that was damaged later and a data set that was never
    there as one; they need different remedies.

    Args:
        name: what the data set is called in messages.
        root: the folder that holds, or shall hold, the data: ``data_dir``.
        needed: what is read, relative to ``root``, with a check of each file.
        downloads: what the files come from; those that are not ``needed`` themselves are archives of them.
    """

    name: str
    root: Path
    needed: Mapping[str, Check]
    downloads: Sequence[Download]

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Read or download the data in this block: if that fails for want of good files, the error says so.

        Raises:
            FileNotFoundError: if files are missing; the message says how to get them.
            ValueError: if a file is corrupt.
        """
        try:
            with network_timeout():
                yield
        except Exception as error:
            if (problem := self.problem()) is None:
                raise
            raise problem from error

    def problem(self) -> FileNotFoundError | ValueError | None:
        """Say what is wrong with the files and how to get good ones.

        Returns:
            ``ValueError`` if a file is there but broken, ``FileNotFoundError`` if one is missing, else None.
        """
        root = self.root.absolute()
        for file, check in {**self.needed, **{d.path: md5_check(d.md5) for d in self.downloads}}.items():
            path = root / file
            if path.is_file() and (wrong := check(path)) is not None:
                return ValueError(
                    f"{path} is corrupt: {wrong}; an interrupted download leaves such a file. "
                    f"Delete it and download again. {self._remedy(root)}"
                )
        missing = ", ".join(str(root / file) for file in self.needed if not (root / file).exists())
        if missing:
            return FileNotFoundError(f"{self.name} was not found in {root} (missing: {missing}). {self._remedy(root)}")
        return None

    def _remedy(self, root: Path) -> str:
        offers = ", ".join(f"{download.url} (md5 {download.md5})" for download in self.downloads)
        folder = (root / self.downloads[0].path).parent
        them, they_are = ("it", "it is") if len(self.downloads) == 1 else ("them", "they are")
        unpacked = any(download.path not in self.needed for download in self.downloads)
        held = " and ".join(dict.fromkeys(str(Path(file).parent) if "/" in file else file for file in self.needed))
        return (
            "With a network, the datamodule's prepare_data() downloads the data by itself. Without one, fetch "
            f"{offers} elsewhere and put {them} into {folder}"
            f"{f': {they_are} unpacked at the next start' if unpacked else ''}. "
            f"If you have {held} already, name the folder that holds {'them' if ' and ' in held else 'it'} with "
            "--data.data_dir or the environment variable MAXL_DATA_DIR."
        )


def md5_check(md5: str) -> Check:
    """Return a check that a file has this md5 sum."""

    def check(path: Path) -> str | None:
        found = calculate_md5(path)
        return None if found == md5 else f"its md5 is {found}, expected {md5}"

    return check


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
