"""The data sets that torchvision downloads: CIFAR-10, MNIST, FashionMNIST and SVHN, on files of their true layouts."""

import os
import re
import shutil
from pathlib import Path

import pytest
import torch
from file_server import serving
from tiny_cifar100 import truncate
from tiny_data import NUM_TEST, NUM_TRAIN, WRITERS
from torchvision.datasets import CIFAR10, MNIST, SVHN, FashionMNIST

from maxl_lightning import CIFAR10DataModule, FashionMNISTDataModule, MNISTDataModule, SVHNDataModule

MODULES = {
    "cifar10": CIFAR10DataModule,
    "fashion_mnist": FashionMNISTDataModule,
    "mnist": MNISTDataModule,
    "svhn": SVHNDataModule,
}
SHAPES = {"cifar10": (3, 32, 32), "fashion_mnist": (1, 28, 28), "mnist": (1, 28, 28), "svhn": (3, 32, 32)}
FLIPPED = {"cifar10": True, "fashion_mnist": True, "mnist": False, "svhn": False}
TRAIN_FILES = {
    "cifar10": "cifar-10-batches-py/data_batch_3",
    "fashion_mnist": "FashionMNIST/raw/train-images-idx3-ubyte",
    "mnist": "MNIST/raw/train-labels-idx1-ubyte",
    "svhn": "train_32x32.mat",
}
DOWNLOADS = {
    "cifar10": "cifar-10-python.tar.gz",
    "fashion_mnist": "FashionMNIST/raw/t10k-images-idx3-ubyte.gz",
    "mnist": "MNIST/raw/train-images-idx3-ubyte.gz",
    "svhn": "test_32x32.mat",
}


@pytest.fixture(params=MODULES)
def name(request):
    return request.param


@pytest.fixture
def root(name, tmp_path, monkeypatch):
    WRITERS[name](tmp_path / "data", monkeypatch)
    return tmp_path / "data"


def made(name, root, **options):
    return MODULES[name](data_dir=str(root), num_workers=0, **options)


def ready(name, root, **options):
    datamodule = made(name, root, **options)
    datamodule.prepare_data()
    datamodule.setup()
    return datamodule


def offer(monkeypatch, address):
    """Let the data sets be downloaded from another address."""
    monkeypatch.setattr(CIFAR10, "url", address + CIFAR10.filename)
    monkeypatch.setattr(MNIST, "mirrors", [f"{address}MNIST/raw/"])
    monkeypatch.setattr(FashionMNIST, "mirrors", [f"{address}FashionMNIST/raw/"])
    files = {split: [address + file, file, md5] for split, (_, file, md5) in SVHN.split_list.items()}
    monkeypatch.setattr(SVHN, "split_list", files)


def leave_downloads(root):
    """Remove what has been unpacked."""
    for path in [path for path in root.rglob("*") if path.is_file() and path.suffix not in (".gz", ".mat")]:
        path.unlink()


def test_batches_are_images_of_ten_classes_and_splits_have_their_sizes(name, root):
    datamodule = ready(name, root, batch_size=50, val_fraction=0.2)
    sizes = [len(part) for part in (datamodule.train_set, datamodule.val_set, datamodule.test_set)]
    assert sizes == [160, 40, NUM_TEST]
    assert datamodule.val_set.targets.bincount().tolist() == [4] * 10
    for loader in (datamodule.train_dataloader(), datamodule.val_dataloader(), datamodule.test_dataloader()):
        images, primary = next(iter(loader))
        assert images.dtype == torch.float32
        assert images.shape == (len(primary), *SHAPES[name])
        assert primary.dtype == torch.int64
        assert primary.unique().tolist() == list(range(10))


def test_classes_are_known_without_data(name):
    datamodule = made(name, "nowhere", psi=3)
    assert datamodule.num_classes == len(set(datamodule.class_names)) == 10
    assert datamodule.psi == (3,) * 10
    assert len(datamodule.mean) == len(datamodule.std) == SHAPES[name][0]


def test_evaluation_images_are_normalised_and_nothing_else(name, root):
    datamodule = ready(name, root)
    pixels = torch.as_tensor(datamodule.test_set.source.data[3])
    raw = {"cifar10": pixels.movedim(-1, 0) if name == "cifar10" else None, "svhn": pixels}.get(name, pixels[None])
    image, primary = datamodule.test_set[3]
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (datamodule.mean, datamodule.std))
    torch.testing.assert_close(image, (raw / 255 - mean) / std)
    assert primary == 3


def test_training_images_are_crops_and_flipped_where_that_keeps_the_class(name, root):
    datamodule = ready(name, root, val_fraction=0)
    augmented, plain = datamodule.train_dataset(), datamodule.train_set
    height, width = SHAPES[name][1:]
    black = -torch.tensor(datamodule.mean).view(-1, 1, 1) / torch.tensor(datamodule.std).view(-1, 1, 1)
    offsets, flips = set(), 0
    for index in range(40):
        padded = torch.nn.functional.pad(plain[index][0] - black, (4, 4, 4, 4)) + black
        crops = padded.unfold(1, height, 1).unfold(2, width, 1).permute(1, 2, 0, 3, 4)
        image = augmented[(3, index)][0]
        straight, mirrored = ((crops - shown).abs().amax((2, 3, 4)) < 1e-5 for shown in (image, image.flip(2)))
        assert int(straight.sum() + mirrored.sum()) == 1
        offsets.add(tuple((straight | mirrored).nonzero()[0].tolist()))
        flips += int(mirrored.sum())
    assert len(offsets) > 20
    assert 8 < flips < 32 if FLIPPED[name] else flips == 0


def test_plot_names_the_classes(name, root):
    datamodule = ready(name, root)
    figure = datamodule.plot()
    shown = torch.arange(16) * len(datamodule.train_set) // 16
    first = datamodule.train_set.targets[shown].tolist()
    assert [axes.get_title() for axes in figure.axes] == [datamodule.class_names[number] for number in first]


def test_missing_data_say_how_to_get_them(name, root):
    path = root / TRAIN_FILES[name]
    shutil.rmtree(root)
    datamodule = made(name, root)
    for read in (datamodule.prepare_data, datamodule.setup):
        with pytest.raises(FileNotFoundError) as caught:
            read()
        message = str(caught.value)
        assert f" was not found in {root} (missing: " in message
        assert str(path) in message
        held = re.search(r"If you have (.*) already", message)[1]
        assert held.split(" and ")[0] in TRAIN_FILES[name]
        for remedy in ("http://127.0.0.1:9/", "md5 ", "--data.data_dir", "MAXL_DATA_DIR"):
            assert remedy in message


def test_a_truncated_file_is_named(name, root):
    truncate(root / TRAIN_FILES[name])
    with pytest.raises(ValueError, match=f"^{root / TRAIN_FILES[name]} is corrupt.*Delete it and download again"):
        made(name, root).setup("fit")


def test_what_is_put_there_by_hand_is_used_without_a_network(name, root):
    leave_downloads(root)
    assert len(ready(name, root, val_fraction=0).train_set) == NUM_TRAIN


def test_data_are_downloaded_once(name, root, tmp_path, monkeypatch):
    with serving(root) as address:
        offer(monkeypatch, address)
        datamodule = ready(name, tmp_path / "copy", val_fraction=0)
    assert len(datamodule.train_set) == NUM_TRAIN
    assert len(ready(name, tmp_path / "copy").test_set) == NUM_TEST  # the server is gone


def test_an_interrupted_download_is_noticed_and_named(name, root, tmp_path, monkeypatch):
    with serving(root, interrupted=True) as address:
        offer(monkeypatch, address)
        datamodule = made(name, tmp_path / "copy")
        with pytest.raises(ValueError, match=rf"^{tmp_path}/copy/.* is corrupt: its md5 is .*, expected"):
            datamodule.prepare_data()
    with serving(root) as address:  # trying again mends it
        offer(monkeypatch, address)
        datamodule.prepare_data()
    datamodule.setup()


def test_a_truncated_download_is_named_without_a_network(name, root):
    path = root / DOWNLOADS[name]
    truncate(path)
    leave_downloads(root)
    with pytest.raises(ValueError, match=f"^{path} is corrupt: its md5 is .*, expected .*{path.parent}"):
        made(name, root).prepare_data()


@pytest.mark.skipif(
    "MAXL_DATA_DIR" not in os.environ or not Path(os.environ["MAXL_DATA_DIR"], "MNIST/raw").is_dir(),
    reason="MAXL_DATA_DIR names no folder with MNIST/raw",
)
def test_the_real_mnist_is_as_documented():
    datamodule = MNISTDataModule(num_workers=0)
    datamodule.prepare_data()
    datamodule.setup()
    sizes = [len(part) for part in (datamodule.train_set, datamodule.val_set, datamodule.test_set)]
    assert sizes == [54_000, 6_000, 10_000]
    source = datamodule.train_set.source
    assert source.targets.bincount().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    pixels = source.data.double() / 255
    assert (round(float(pixels.mean()), 4), round(float(pixels.std()), 4)) == (*datamodule.mean, *datamodule.std)
    images, primary = next(iter(datamodule.train_dataloader()))
    assert images.shape == (100, 1, 28, 28)
    assert primary.max() < 10
