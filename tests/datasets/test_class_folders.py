import pickle

import pytest
import torch
from tiny_folders import brightness, write_classes, write_picture

from maxl_lightning.datasets.class_folders import ClassFolders, folder_names, subclasses
from maxl_lightning.datasets.view import DatasetView
from maxl_lightning.labels import HumanLabels


@pytest.fixture
def root(tmp_path):
    write_classes(tmp_path, ("cat", "dog", "owl"), 3)  # brightness 20, 30 and 40
    return tmp_path


@pytest.fixture
def nested(tmp_path):
    """Cats of two kinds, dogs of one, owls of three."""
    for kind in ("cat/lion/1", "cat/lion/2", "cat/tiger/old/3", "dog/4", "owl/barn/5", "owl/eagle/6", "owl/snowy/7"):
        write_picture(tmp_path / f"{kind}.png", 10 * int(kind[-1]))
    return tmp_path


def test_classes_are_numbered_by_name_unless_their_order_is_given(root):
    assert ClassFolders(root).classes == ["cat", "dog", "owl"]
    images = ClassFolders(root, ("owl", "cat"))
    assert sorted(images.targets) == [0, 0, 0, 1, 1, 1]
    assert {(brightness(image), target) for image, target in images} == {(40, 0), (20, 1)}


def test_what_is_hidden_or_no_image_is_left_out(root):
    write_picture(root / ".cache" / "1.jpg")
    (root / "cat" / "._1.jpg").write_bytes(b"\0")
    (root / "cat" / "notes.txt").write_text("grumpy")
    (root / "README.md").write_text("pets")
    assert len(ClassFolders(root)) == 9
    assert folder_names(root) == ("cat", "dog", "owl")


def test_a_missing_class_is_named(root):
    with pytest.raises(FileNotFoundError, match=f"{root} has no folders of the classes emu, yak; it has cat, dog, owl"):
        ClassFolders(root, ("yak", "cat", "emu"))


def test_classes_without_images_are_named(root):
    (root / "emu").mkdir()
    (root / "yak" / "empty").mkdir(parents=True)
    (root / "yak" / "notes.txt").write_text("none")
    with pytest.raises(ValueError, match=f"{root} has no images of the classes emu, yak: put some"):
        ClassFolders(root)


def test_a_folder_that_is_missing_or_has_no_folders_is_named_with_the_layout(root):
    with pytest.raises(FileNotFoundError, match=f"{root}/nowhere is no folder: .*<folder>/<class>/"):
        folder_names(root / "nowhere")
    with pytest.raises(FileNotFoundError, match=f"{root}/cat holds no folders: .*<folder>/<class>/"):
        folder_names(root / "cat")


def test_a_subset_has_the_images_asked_for_and_leaves_the_others_alone(root):
    images = ClassFolders(root)
    part = images.subset(torch.tensor([0, 4, 8]))
    assert (len(part), part.targets, len(images)) == (3, [0, 1, 2], 9)
    assert [brightness(image) for image, _ in part] == [20, 30, 40]


def test_images_can_be_sent_to_a_worker_of_any_kind(root):
    assert pickle.loads(pickle.dumps(ClassFolders(root)))[4][1] == 1


def test_sub_folders_are_finer_classes_in_blocks(nested):
    images = ClassFolders(nested)
    assert subclasses(nested, images.classes) == [("lion", "tiger"), ("dog",), ("barn", "eagle", "snowy")]
    expected = {10: 0, 20: 0, 30: 1, 40: 2, 50: 3, 60: 4, 70: 5}
    finer = images.finer_targets(6).tolist()
    assert {brightness(images[index][0]): label for index, label in enumerate(finer)} == expected
    owls = images.subset(torch.tensor([4, 6]))
    assert [expected[brightness(image)] for image, _ in owls] == owls.finer_targets(6).tolist()


def test_they_are_human_labels(nested):
    labels = HumanLabels()(DatasetView(ClassFolders(nested), [1, 3]), (2, 1, 3))
    assert labels.tolist() == [0, 2]
    with pytest.raises(ValueError, match=r"6 sub-folders of classes, not 9: use psi=\[2, 1, 3\]"):
        HumanLabels()(DatasetView(ClassFolders(nested)), (3, 3, 3))


def test_an_image_beside_the_sub_folders_is_named(nested):
    write_picture(nested / "cat" / "stray.jpg")
    with pytest.raises(ValueError, match=f"{nested}/cat/stray.jpg lies beside the sub-folders lion, tiger"):
        ClassFolders(nested).finer_targets(6)
