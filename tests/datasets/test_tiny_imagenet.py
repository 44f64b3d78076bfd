import pytest
from tiny_folders import WNIDS, brightness, write_tiny_imagenet

from maxl_lightning.datasets.tiny_imagenet import tiny_imagenet_train, tiny_imagenet_val, tiny_imagenet_wnids


@pytest.fixture
def root(tmp_path):
    write_tiny_imagenet(tmp_path)
    return tmp_path / "tiny-imagenet-200"


def annotations(root, change):
    path = root / "val" / "val_annotations.txt"
    path.write_text(change(path.read_text()))
    return path


def test_images_have_the_classes_of_their_folders_and_of_the_annotations(root):
    wnids = tiny_imagenet_wnids(root)
    assert wnids == WNIDS
    for images, size in ((tiny_imagenet_train(root, wnids), 30), (tiny_imagenet_val(root, wnids), 6)):
        assert len(images) == len(images.targets) == size
        assert {(brightness(image), target) for image, target in images} == {(20, 0), (30, 1), (40, 2)}
        assert {(image.mode, image.size) for image, _ in images} == {("RGB", (64, 64))}


def test_the_order_of_the_ids_is_that_of_the_classes(root):
    images = tiny_imagenet_val(root, WNIDS[::-1])
    assert {(brightness(image), target) for image, target in images} == {(20, 2), (30, 1), (40, 0)}


def test_missing_data_say_how_to_get_them(root):
    with pytest.raises(FileNotFoundError, match=r"nowhere/wnids.txt is missing. Fetch http://cs231n.*--data.data_dir"):
        tiny_imagenet_wnids(root / "nowhere")
    (root / "val" / "val_annotations.txt").unlink()
    with pytest.raises(FileNotFoundError, match=f"{root}/val/val_annotations.txt is missing, which tells the classes"):
        tiny_imagenet_val(root, WNIDS)


@pytest.mark.parametrize("wrong", ["val_1.JPEG", "val_1.JPEG\tn99999999\t0\t0\t62\t62", "<html>", ""])
def test_a_malformed_line_is_named(root, wrong):
    path = annotations(root, lambda text: "\n".join([text.splitlines()[0], wrong, *text.splitlines()[2:]]))
    with pytest.raises(ValueError, match=f"line 2 of {path} is '{wrong[:8]}.*a WordNet id of wnids.txt"):
        tiny_imagenet_val(root, WNIDS)


def test_annotated_images_that_are_missing_are_named(root):
    (root / "val" / "images" / "val_4.JPEG").unlink()
    with pytest.raises(FileNotFoundError, match=f"{root}/val/images lacks val_4.JPEG of val_annotations.txt"):
        tiny_imagenet_val(root, WNIDS)


def test_a_class_without_annotated_images_is_named(root):
    path = annotations(root, lambda text: "\n".join(line for line in text.splitlines() if WNIDS[1] not in line))
    with pytest.raises(ValueError, match=f"{path} has no images of the classes {WNIDS[1]}"):
        tiny_imagenet_val(root, WNIDS)
