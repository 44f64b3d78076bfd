"""ImageNet, Imagenette and Tiny ImageNet."""

import hashlib
import shutil
import tarfile

import pytest
from file_server import serving
from tiny_folders import IMAGENETTE_WNIDS, WNIDS, write_imagenet, write_imagenette, write_picture, write_tiny_imagenet
from torchvision.datasets import Imagenette

from maxl_lightning import ImageNetSubsetDataModule, ImagenetteDataModule, TinyImageNetDataModule


@pytest.fixture
def root(tmp_path):
    write_imagenet(tmp_path)
    return tmp_path


def subset(root, wnids=None, **options):
    return ImageNetSubsetDataModule(wnids, data_dir=str(root), num_workers=0, val_fraction=0.2, **options)


def test_all_classes_are_those_of_the_folder(root):
    write_picture(root / "imagenet" / "train" / "lost+found" / "1.jpg")
    datamodule = subset(root)
    assert datamodule.wnids == WNIDS
    assert datamodule.class_names == ("goldfish", "crane (n02012849)", "crane (n03126707)")


def test_a_list_chooses_classes_and_their_order(root):
    (root / "wnids.txt").write_text(f"{WNIDS[2]}\n{WNIDS[0]}\n")
    for wnids in ([WNIDS[2], WNIDS[0]], str(root / "wnids.txt")):
        datamodule = subset(root, wnids)
        datamodule.setup()
        assert datamodule.class_names == ("crane", "goldfish")
        for part in (datamodule.train_set, datamodule.val_set, datamodule.test_set):
            assert {number for _, number in part.source.samples} == {0, 1}
            assert all(datamodule.wnids[number] in path for path, number in part.source.samples)


def test_missing_ids_are_named_at_construction(root):
    with pytest.raises(FileNotFoundError, match=f"{root}/imagenet/train has no folders of n07749582, n09999999"):
        subset(root, ["n09999999", WNIDS[0], "n07749582"])
    with pytest.raises(ValueError, match="has 'goldfish', which is no WordNet id"):
        subset(root, ["goldfish"])


def test_a_folder_without_ids_is_refused(tmp_path):
    write_picture(tmp_path / "imagenet" / "train" / "cat" / "1.jpg")
    with pytest.raises(FileNotFoundError, match=r"train has no folders of WordNet ids. Expected are train/<"):
        subset(tmp_path)


def test_missing_or_flat_test_images_say_what_is_expected(root):
    shutil.rmtree(root / "imagenet" / "val" / WNIDS[1])
    with pytest.raises(FileNotFoundError, match=rf"{root}/imagenet/val has no folders .*{WNIDS[1]}; .*Expected are"):
        subset(root).setup("test")
    shutil.rmtree(root / "imagenet" / "val")
    write_picture(root / "imagenet" / "val" / "ILSVRC2012_val_00000001.JPEG")
    with pytest.raises(FileNotFoundError, match=r"val holds no folders.*torchvision.datasets.ImageNet unpacks it"):
        subset(root).setup("test")


def test_a_class_without_images_is_named(root):
    for path in (root / "imagenet" / "train" / WNIDS[1]).iterdir():
        path.unlink()
    with pytest.raises(ValueError, match=f"train has no images of the classes {WNIDS[1]}"):
        subset(root).setup("fit")


def test_tiny_imagenet_is_named_by_its_words(tmp_path):
    write_tiny_imagenet(tmp_path)
    (tmp_path / "tiny-imagenet-200").rename(tmp_path / "tiny")
    datamodule = TinyImageNetDataModule("tiny", data_dir=str(tmp_path))
    assert datamodule.wnids == WNIDS
    assert datamodule.class_names == ("goldfish", "crane (n02012849)", "crane (n03126707)")


def test_imagenettes_classes_are_known_without_data():
    datamodule = ImagenetteDataModule(data_dir="nowhere")
    assert datamodule.class_names[:3] == ("tench", "English springer", "cassette player")
    assert tuple(Imagenette._WNID_TO_CLASS) == IMAGENETTE_WNIDS == tuple(sorted(IMAGENETTE_WNIDS))
    with pytest.raises(ValueError, match="size is '64px': choose full, 320px, 160px"):
        ImagenetteDataModule(resolution="64px")


def test_imagenette_is_downloaded_and_checked(tmp_path, monkeypatch):
    write_imagenette(tmp_path / "made")
    archive = tmp_path / "imagenette2-160.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(tmp_path / "made" / "imagenette2-160", arcname="imagenette2-160")
    md5 = hashlib.md5(archive.read_bytes(), usedforsecurity=False).hexdigest()
    datamodule = ImagenetteDataModule(data_dir=str(tmp_path / "data"), num_workers=0)
    with serving(tmp_path) as address:
        archives = {"160px": (f"{address}imagenette2-160.tgz", "0" * 32)}
        monkeypatch.setattr(Imagenette, "_ARCHIVES", archives)
        with pytest.raises(ValueError, match=f"imagenette2-160.tgz is corrupt: its md5 is {md5}, expected 0000"):
            datamodule.prepare_data()
        (tmp_path / "data" / "imagenette2-160.tgz").unlink()
        archives["160px"] = (archives["160px"][0], md5)
        datamodule.prepare_data()
    datamodule.setup()
    assert (len(datamodule.train_set) + len(datamodule.val_set), len(datamodule.test_set)) == (100, 20)
    assert datamodule.test_set.targets.tolist() == sorted([*range(10)] * 2)
