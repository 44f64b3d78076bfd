"""A CIFAR-100 of random images in the layout of the true files: 5 training and 1 test image of each fine class."""

import hashlib
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest

from maxl_lightning.datasets import HierarchicalCIFAR100
from maxl_lightning.datasets.cifar100_hierarchy import class_names, coarser_classes

PSI = {
    (3, 10): (5, 1, 4),
    (3, 20): (10, 3, 7),
    (3, 100): (50, 15, 35),
    (10, 20): (3, 2, 2, 2, 1, 3, 3, 1, 1, 2),
    (10, 100): (15, 10, 10, 10, 5, 15, 15, 5, 5, 10),
    (20, 100): (5,) * 20,
}
"""The paper's six pairs of primary and auxiliary classes, and the hierarchy that each implies."""


def write_tiny_cifar100(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write the files into root, and make the data set expect the md5 sums of these files instead of the true ones.

    The checks themselves run unchanged.
    """
    folder = root / "cifar-100-python"
    folder.mkdir(parents=True)
    md5s = {name: _write(folder / name, content) for name, content in _contents().items()}
    monkeypatch.setattr(HierarchicalCIFAR100, "train_list", [["train", md5s["train"]]])
    monkeypatch.setattr(HierarchicalCIFAR100, "test_list", [["test", md5s["test"]]])
    meta = {**HierarchicalCIFAR100.meta, "md5": md5s["meta"]}
    monkeypatch.setattr(HierarchicalCIFAR100, "meta", meta)
    return folder


def write_archive(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pack the folder into the archive beside it, and make the data set expect the archive's md5 sum."""
    archive = folder.parent / HierarchicalCIFAR100.filename
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, arcname=folder.name)
    monkeypatch.setattr(HierarchicalCIFAR100, "tgz_md5", _md5(archive.read_bytes()))
    return archive


def truncate(path: Path) -> None:
    """Cut a file in half, as an interrupted download does."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def _contents() -> dict[str, dict[str, object]]:
    names = {
        "fine_label_names": list(class_names(100)),
        "coarse_label_names": list(class_names(20)),
    }
    return {"train": _images(repeats=5, seed=0), "test": _images(repeats=1, seed=1), "meta": names}


def _images(repeats: int, seed: int) -> dict[str, object]:
    fine = list(range(100)) * repeats
    data = np.random.default_rng(seed).integers(0, 256, size=(len(fine), 3072), dtype=np.uint8)
    coarse = coarser_classes(20, 100)
    return {"data": data, "fine_labels": fine, "coarse_labels": [coarse[label] for label in fine]}


def _write(path: Path, content: dict[str, object]) -> str:
    path.write_bytes(pickle.dumps(content))
    return _md5(path.read_bytes())


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
