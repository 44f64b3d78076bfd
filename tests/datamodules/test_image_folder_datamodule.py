import pytest
import torch
from tiny_folders import write_classes, write_image_folder, write_picture

from maxl_lightning import ImageFolderDataModule
from maxl_lightning.labels import HumanLabels


@pytest.fixture
def root(tmp_path):
    write_image_folder(tmp_path)
    return tmp_path


def made(root, test=None, val=None, **options):
    folders = {name: str(root / folder) for name, folder in (("test_dir", test), ("val_dir", val)) if folder}
    return ImageFolderDataModule(str(root / "train"), num_workers=0, val_fraction=0.2, **folders, **options)


def paths(part):
    return {part.source.samples[index][0] for index in part.indices.tolist()}


def test_classes_are_known_after_construction(root):
    datamodule = made(root)
    assert datamodule.class_names == ("cat", "dog", "owl")
    assert (datamodule.num_classes, datamodule.psi, datamodule.image_size) == (3, None, 224)
    assert made(root, psi=4).psi == (4, 4, 4)


def test_without_a_test_folder_a_share_of_each_class_is_held_out(root):
    datamodule = made(root, test_fraction=0.3)
    datamodule.setup()
    parts = (datamodule.train_set, datamodule.val_set, datamodule.test_set)
    assert [len(part) for part in parts] == [17, 4, 9]
    assert datamodule.test_set.targets.bincount().tolist() == [3, 3, 3]
    assert len(set().union(*map(paths, parts))) == 30
    again, other = made(root, test_fraction=0.3, seed=5), made(root, test_fraction=0.3, split_seed=1)
    again.setup("test")
    other.setup("test")
    assert paths(again.test_set) == paths(datamodule.test_set) != paths(other.test_set)


def test_a_validation_folder_replaces_the_share(root):
    write_classes(root / "val", ("cat", "dog", "owl"), 2)
    datamodule = made(root, test="test", val="val")
    datamodule.setup()
    parts = (datamodule.train_set, datamodule.val_set, datamodule.test_set)
    assert [len(part) for part in parts] == [30, 6, 9]
    assert all("/val/" in path for path in paths(datamodule.val_set))


def test_normalisation_can_be_given(root):
    datamodule = made(root, test="test", mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 0.2), image_size=16)
    datamodule.setup("test")
    image, _ = datamodule.test_set[0]  # grey, so that all channels are equal before
    standard, _ = _standard(root).test_set[0]
    grey = standard[0] * 0.229 + 0.485
    for channel, (mean, std) in enumerate([(0.1, 0.5), (0.2, 0.25), (0.3, 0.2)]):
        torch.testing.assert_close(image[channel], (grey - mean) / std, atol=1e-5, rtol=1e-5)


def _standard(root):
    datamodule = made(root, test="test", image_size=16)
    datamodule.setup("test")
    return datamodule


def test_sub_folders_give_psi_and_human_labels(root):
    for kind, number in (("tabby", 6), ("siamese", 6)):
        write_classes(root / "train" / "fox", (kind,), number)
    datamodule = made(root, auxiliary_labels=HumanLabels(), image_size=16)
    assert datamodule.psi == (1, 1, 2, 1)
    datamodule.setup("fit")
    _, primary, finer = next(iter(datamodule.train_dataloader()))
    assert {(p, f) for p, f in zip(primary.tolist(), finer.tolist(), strict=True)} == {
        (0, 0), (1, 1), (2, 2), (2, 3), (3, 4),
    }  # fmt: skip


@pytest.mark.parametrize("folder", ["test_dir", "val_dir"])
def test_folders_of_other_classes_are_refused(root, folder):
    write_classes(root / "other", ("cat", "emu"), 1)
    message = f"{folder}={root}/other must have the class folders of train_dir: it lacks dog, owl; train_dir lacks emu."
    with pytest.raises(ValueError, match=message):
        ImageFolderDataModule(str(root / "train"), **{folder: str(root / "other")})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test_fraction": 0.0}, "test_fraction is 0.0: use a share between 0 and 1"),
        ({"test_fraction": 1.0}, "test_fraction is 1.0"),
        ({"std": (0.2, 0.0, 0.2)}, r"std is \(0.2, 0.0, 0.2\): use positive numbers"),
        ({"image_size": 2}, "image_size is 2"),
        ({"batch_size": 0}, "batch_size is 0"),
    ],
)
def test_arguments_out_of_range_are_named(root, options, message):
    with pytest.raises(ValueError, match=message):
        ImageFolderDataModule(str(root / "train"), **options)


def test_too_few_images_to_hold_some_out_are_refused(root):
    with pytest.raises(ValueError, match=r"test_fraction=0.05 asks for 2 of 30 images"):
        made(root, test_fraction=0.05).setup("test")


def test_a_folder_of_images_without_classes_is_refused(root):
    write_picture(root / "flat" / "1.jpg")
    with pytest.raises(FileNotFoundError, match=f"{root}/flat holds no folders: .*<folder>/<class>/"):
        ImageFolderDataModule(str(root / "flat"))


def test_a_class_without_images_is_named(root):
    (root / "train" / "yak").mkdir()
    with pytest.raises(ValueError, match=f"{root}/train has no images of the classes yak"):
        made(root).setup("fit")
