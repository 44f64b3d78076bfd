"""Data sets that come as one archive of image files."""

import shutil
from pathlib import Path

from torchvision.datasets.utils import download_and_extract_archive

from maxl_lightning.datasets.download import DataFiles, Download

__all__ = ["archived_files", "fetch_archive"]


def archived_files(name: str, root: str | Path, folder: str, archive: Download) -> DataFiles:
    """Return the files of a data set that is a folder of images.

    Args:
        name: what the data set is called in messages.
        root: folder that holds, or shall hold, the data.
        folder: the folder of images below it.
        archive: where it comes from.
    """
    return DataFiles(name, Path(root), {folder: lambda _: "it is a file, not a folder"}, [archive])


def fetch_archive(files: DataFiles, inside: str = ".") -> None:
    """Download and unpack the archive of a folder unless the folder is there.

    What is unpacked gets the folder's name last: after an interruption nothing looks complete that is not. An
    archive that is there already is not downloaded again.

    Args:
        files: of :func:`archived_files`.
        inside: what of the archive becomes the folder.

    Raises:
        FileNotFoundError: if the download failed; the message says how to get the data.
        ValueError: if it left a corrupt archive.
    """
    (folder,), (archive,) = files.needed, files.downloads
    if (files.root / folder).exists():
        return
    partial = files.root / f"{folder}.partial"
    with files.explained():
        shutil.rmtree(partial, ignore_errors=True)
        download_and_extract_archive(archive.url, files.root, partial, archive.path, archive.md5)
        (partial / inside).rename(files.root / folder)
        shutil.rmtree(partial, ignore_errors=True)
