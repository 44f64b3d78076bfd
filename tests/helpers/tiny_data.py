"""Data sets of random images in the layouts of the true files, by the name that their configs' folder has.

The md5 sums that the data sets expect become those of these files; the checks themselves run unchanged.
"""

import gzip
import hashlib
import io
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from tiny_cifar100 import write_tiny_cifar100
from torchvision.datasets import CIFAR10, MNIST, SVHN, FashionMNIST

NO_SERVER = "http://127.0.0.1:9/"  # nothing listens on port 9: whatever tries to download fails at once
NUM_TRAIN, NUM_TEST = 200, 30  # 20 and 3 of each of the ten classes


def write_tiny_cifar10(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write five training batches, a test batch and the names, and the archive of them all."""
    folder = root / CIFAR10.base_folder
    folder.mkdir(parents=True)
    images, labels = _images(NUM_TRAIN, (3072,), seed=0)
    parts = {f"data_batch_{n + 1}": (images[n::5], labels[n::5]) for n in range(5)}
    parts["test_batch"] = _images(NUM_TEST, (3072,), seed=1)
    for name, (data, numbers) in parts.items():
        (folder / name).write_bytes(pickle.dumps({"data": data, "labels": numbers.tolist()}))
    (folder / CIFAR10.meta["filename"]).write_bytes(pickle.dumps({"label_names": list("abcdefghij")}))
    archive = root / CIFAR10.filename
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, arcname=folder.name)
    monkeypatch.setattr(CIFAR10, "train_list", [[f, md5(folder / f)] for f, _ in CIFAR10.train_list])
    monkeypatch.setattr(CIFAR10, "test_list", [[f, md5(folder / f)] for f, _ in CIFAR10.test_list])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": md5(folder / CIFAR10.meta["filename"])})
    monkeypatch.setattr(CIFAR10, "tgz_md5", md5(archive))
    monkeypatch.setattr(CIFAR10, "url", NO_SERVER + CIFAR10.filename)


def write_tiny_mnist(root: Path, monkeypatch: pytest.MonkeyPatch, dataset: type[MNIST] = MNIST) -> None:
    """Write the four files, packed and unpacked, as torchvision leaves them."""
    folder = root / dataset.__name__ / "raw"
    folder.mkdir(parents=True)
    for part, size, seed in (("train", NUM_TRAIN, 0), ("t10k", NUM_TEST, 1)):
        for kind, content in zip(("images", "labels"), _images(size, (28, 28), seed), strict=True):
            header = bytes([0, 0, 8, content.ndim]) + b"".join(n.to_bytes(4, "big") for n in content.shape)
            path = folder / f"{part}-{kind}-idx{content.ndim}-ubyte"
            path.write_bytes(header + content.tobytes())
            path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    monkeypatch.setattr(dataset, "resources", [(file, md5(folder / file)) for file, _ in dataset.resources])
    monkeypatch.setattr(dataset, "mirrors", [NO_SERVER])


def write_tiny_fashion_mnist(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the same files into a folder of their own."""
    write_tiny_mnist(root, monkeypatch, FashionMNIST)


def write_tiny_svhn(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the splits: images last to the end, a column of labels in which 10 stands for the digit 0."""
    root.mkdir(parents=True, exist_ok=True)
    files = dict(SVHN.split_list)
    for split, size, seed in (("train", NUM_TRAIN, 0), ("test", NUM_TEST, 1)):
        images, labels = _images(size, (32, 32, 3), seed)
        content = io.BytesIO()
        numbers = np.where(labels == 0, 10, labels)[:, None].astype(np.uint8)
        scipy.io.savemat(content, {"X": images.transpose(1, 2, 3, 0), "y": numbers})
        file = SVHN.split_list[split][1]
        (root / file).write_bytes(content.getvalue())
        files[split] = [NO_SERVER + file, file, md5(root / file)]
    monkeypatch.setattr(SVHN, "split_list", files)


WRITERS = {
    "cifar10": write_tiny_cifar10,
    "cifar100": write_tiny_cifar100,
    "fashion_mnist": write_tiny_fashion_mnist,
    "mnist": write_tiny_mnist,
    "svhn": write_tiny_svhn,
}
"""``writer(root, monkeypatch)`` of each data set that is read from files."""


def md5(path: Path) -> str:
    """Return a file's md5 sum."""
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def _images(size: int, shape: tuple[int, ...], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return random bytes ``(size, *shape)`` and labels from 0 to 9 ``(size,)``."""
    images = np.random.default_rng(seed).integers(0, 256, size=(size, *shape), dtype=np.uint8)
    return images, np.arange(size, dtype=np.uint8) % 10
