import os
from pathlib import Path

import pytest
from tiny_data import write_tiny_mnist
from torchvision.datasets import CIFAR10, CIFAR100, MNIST, FashionMNIST

from maxl_lightning.datasets.torchvision_files import cifar_files, mnist_files, svhn_files, wrong_length


def test_all_the_files_are_listed_where_torchvision_looks_for_them():
    batches = {f"cifar-10-batches-py/data_batch_{n}" for n in range(1, 6)}
    others = {"cifar-10-batches-py/test_batch", "cifar-10-batches-py/batches.meta"}
    assert cifar_files(CIFAR10, "data", "CIFAR-10").needed.keys() == batches | others
    three = {f"cifar-100-python/{name}" for name in ("train", "test", "meta")}
    assert cifar_files(CIFAR100, "data", "CIFAR-100").needed.keys() == three
    assert svhn_files("data").needed.keys() == {"train_32x32.mat", "test_32x32.mat"}
    for dataset in (MNIST, FashionMNIST):
        files = mnist_files(dataset, "data")
        assert len(files.needed) == 4
        assert {str(Path(file).parent) for file in files.needed} == {f"{dataset.__name__}/raw"}
        assert [f"{file}.gz" for file in files.needed] == [download.path for download in files.downloads]


@pytest.fixture
def images(tmp_path, monkeypatch):
    write_tiny_mnist(tmp_path, monkeypatch)
    return tmp_path / "MNIST" / "raw" / "t10k-images-idx3-ubyte"


def test_a_whole_file_has_the_length_that_its_header_tells(images):
    assert wrong_length(images) is None
    assert wrong_length(images.with_name("t10k-labels-idx1-ubyte")) is None


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (lambda whole: whole[:-1], "it has 23535 bytes, by its header it should have 23536"),
        (lambda whole: whole + b"\0", "it has 23537 bytes, by its header it should have 23536"),
        (lambda whole: whole[:16], "it has 16 bytes, by its header it should have 23536"),
        (lambda whole: whole[:15], "its 15 bytes begin with no header"),
        (lambda whole: whole[:3], "its 3 bytes begin with no header"),
        (lambda whole: b"", "its 0 bytes begin with no header"),
        (lambda whole: b"<html>" + whole, "begin with no header of this format"),
    ],
)
def test_another_length_or_format_is_told(images, content, wrong):
    images.write_bytes(content(images.read_bytes()))
    assert wrong in wrong_length(images)


@pytest.mark.skipif(
    "MAXL_DATA_DIR" not in os.environ or not Path(os.environ["MAXL_DATA_DIR"], "MNIST/raw").is_dir(),
    reason="MAXL_DATA_DIR names no folder with MNIST/raw",
)
def test_the_real_mnist_is_whole():
    assert mnist_files(MNIST, os.environ["MAXL_DATA_DIR"]).problem() is None
