import os
import pickle
import shutil
import socket
import time
from pathlib import Path

import pytest
import torch
from tiny_cifar100 import truncate, write_archive, write_tiny_cifar100

from maxl_lightning.datasets import HierarchicalCIFAR100
from maxl_lightning.datasets.cifar100_hierarchy import class_names, coarser_classes, psi_between
from maxl_lightning.datasets.download import network_timeout


@pytest.fixture
def folder(tmp_path, monkeypatch):
    # nothing listens on port 9: whatever tries to download fails at once
    monkeypatch.setattr(HierarchicalCIFAR100, "url", "http://127.0.0.1:9/cifar-100-python.tar.gz")
    return write_tiny_cifar100(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def real_test_set():
    root = os.environ.get("MAXL_DATA_DIR")
    if root is None or not Path(root, "cifar-100-python").is_dir():
        pytest.skip("MAXL_DATA_DIR names no folder with cifar-100-python")
    return HierarchicalCIFAR100(root, num_classes=3, train=False)


@pytest.mark.parametrize("level", [3, 10, 20, 100])
def test_targets_are_the_classes_of_the_level(folder, level):
    dataset = HierarchicalCIFAR100(folder.parent, level)
    assert dataset.targets == list(coarser_classes(level, 100)) * 5
    assert dataset.classes == list(class_names(level))
    assert dataset.class_to_idx[dataset.classes[-1]] == level - 1
    image, primary = dataset[7]
    assert image.size == (32, 32)
    assert primary == coarser_classes(level, 100)[7]


def test_test_images_are_another_part(folder):
    assert len(HierarchicalCIFAR100(folder.parent, train=True)) == 500
    assert len(HierarchicalCIFAR100(folder.parent, train=False)) == 100


@pytest.mark.parametrize(("primary", "auxiliary"), [(3, 10), (10, 20), (20, 100), (3, 100)])
def test_finer_targets_fill_the_blocks_of_psi(folder, primary, auxiliary):
    dataset = HierarchicalCIFAR100(folder.parent, primary)
    psi = torch.tensor(psi_between(primary, auxiliary))
    owner = torch.arange(primary).repeat_interleave(psi)
    finer = dataset.finer_targets(auxiliary)
    assert owner[finer].tolist() == dataset.targets
    assert finer.unique().tolist() == list(range(auxiliary))


def test_missing_data_name_the_folder_and_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(HierarchicalCIFAR100, "url", "http://127.0.0.1:9/cifar-100-python.tar.gz")
    for download in (False, True):
        with pytest.raises(FileNotFoundError) as caught:
            HierarchicalCIFAR100(tmp_path / "nowhere", download=download)
        message = str(caught.value)
        assert f"CIFAR-100 was not found in {tmp_path / 'nowhere'} (missing: " in message
        for remedy in (HierarchicalCIFAR100.url, HierarchicalCIFAR100.tgz_md5, "--data.data_dir", "MAXL_DATA_DIR"):
            assert remedy in message


def test_only_the_missing_file_is_named(folder):
    (folder / "meta").unlink()
    with pytest.raises(FileNotFoundError, match=r"\(missing: [^,]*meta\)"):
        HierarchicalCIFAR100(folder.parent)


@pytest.mark.parametrize("download", [False, True])
def test_a_truncated_pickle_is_called_corrupt(folder, download):
    truncate(folder / "train")
    with pytest.raises(ValueError, match=f"{folder / 'train'} is corrupt.*Delete it and download again"):
        HierarchicalCIFAR100(folder.parent, download=download)


def test_a_truncated_archive_is_called_corrupt(folder, monkeypatch):
    archive = write_archive(folder, monkeypatch)
    shutil.rmtree(folder)
    truncate(archive)
    with pytest.raises(ValueError, match=f"{archive} is corrupt.*Delete it and download again"):
        HierarchicalCIFAR100(folder.parent, download=True)


def test_an_archive_put_there_by_hand_is_unpacked_without_a_network(folder, monkeypatch):
    write_archive(folder, monkeypatch)
    shutil.rmtree(folder)
    assert len(HierarchicalCIFAR100(folder.parent, download=True)) == 500


def test_a_good_archive_mends_a_truncated_pickle(folder, monkeypatch):
    write_archive(folder, monkeypatch)
    truncate(folder / "train")
    assert len(HierarchicalCIFAR100(folder.parent, download=True)) == 500


def test_a_server_that_never_answers_is_given_up(tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:  # accepts connections and says nothing
        url = f"http://127.0.0.1:{server.getsockname()[1]}/cifar-100-python.tar.gz"
        monkeypatch.setattr(HierarchicalCIFAR100, "url", url)
        monkeypatch.setattr("maxl_lightning.datasets.download.network_timeout", lambda: network_timeout(0.2))
        start = time.monotonic()
        with pytest.raises(FileNotFoundError, match="was not found"):
            HierarchicalCIFAR100(tmp_path, download=True)
    assert time.monotonic() - start < 5
    assert socket.getdefaulttimeout() is None


def test_the_usual_wait_for_an_answer_is_finite():
    with network_timeout():
        assert socket.getdefaulttimeout() == 30


def test_a_level_that_does_not_exist_is_refused(folder):
    with pytest.raises(ValueError, match="num_classes is 50"):
        HierarchicalCIFAR100(folder.parent, 50)


def test_the_files_coarse_labels_agree_with_the_map(real_test_set):
    coarse_of_fine = torch.tensor(coarser_classes(20, 100))
    assert torch.equal(coarse_of_fine[real_test_set.fine_targets], real_test_set.coarse_targets)
    assert real_test_set.fine_targets.bincount().tolist() == [100] * 100


def test_the_names_are_those_of_the_files(real_test_set):
    with open(Path(real_test_set.root, "cifar-100-python", "meta"), "rb") as stream:
        meta = pickle.load(stream)
    assert tuple(meta["fine_label_names"]) == class_names(100)
    assert tuple(meta["coarse_label_names"]) == class_names(20)


def test_real_images_are_in_their_three_classes(real_test_set):
    assert torch.tensor(real_test_set.targets).bincount().tolist() == [5000, 1500, 3500]
