"""What all datamodules of image files do, on tiny data of each layout."""

import os
from pathlib import Path

import pytest
import torch
from PIL import Image
from tiny_cifar100 import truncate
from tiny_folders import FOLDER_WRITERS

from maxl_lightning import (
    CINIC10DataModule,
    ImageFolderDataModule,
    ImageNetSubsetDataModule,
    ImagenetteDataModule,
    TinyImageNetDataModule,
    UCF101DataModule,
)
from maxl_lightning.datamodules.photos import PhotoDataModule
from maxl_lightning.datasets.image_files import ImageFiles

MODULES = {
    "cinic10": CINIC10DataModule,
    "imagenet": ImageNetSubsetDataModule,
    "imagenette": ImagenetteDataModule,
    "tiny_imagenet": TinyImageNetDataModule,
    "ucf101": UCF101DataModule,
}
# classes, training, validation and test images, and the size that the network sees
EXPECTED = {
    "cinic10": (10, 60, 30, 20, 32),
    "image_folder": (3, 24, 6, 9, 224),
    "imagenet": (3, 24, 6, 6, 32),
    "imagenette": (10, 80, 20, 20, 128),
    "tiny_imagenet": (3, 24, 6, 6, 64),
    "ucf101": (3, 18, 6, 12, 32),
}


def made(name, root, **options):
    options = {"num_workers": 0, "val_fraction": 0.25 if name == "ucf101" else 0.2, **options}
    if name == "image_folder":
        return ImageFolderDataModule(str(root / "train"), str(root / "test"), **options)
    return MODULES[name](data_dir=str(root), **options)


def ready(name, root, **options):
    FOLDER_WRITERS[name](root)
    datamodule = made(name, root, **options)
    datamodule.prepare_data()
    datamodule.setup()
    return datamodule


class Photos(PhotoDataModule):
    """One wide and one high picture, whose rows and columns can be told apart."""

    class_names = ("wide", "high")

    def __init__(self, folder, **options):
        self.folder = folder
        super().__init__(num_workers=0, val_fraction=0, **options)

    def train_source(self):
        return ImageFiles([self.folder / "wide.png", self.folder / "high.png"], [0, 1])

    test_source = train_source


@pytest.fixture
def photos(tmp_path):
    ramp = Image.linear_gradient("L")  # 256×256, dark at the top
    ramp.rotate(90).resize((80, 40)).save(tmp_path / "wide.png")
    ramp.resize((40, 80)).save(tmp_path / "high.png")

    def photos(**options):
        datamodule = Photos(tmp_path, **options)
        datamodule.setup()
        return datamodule

    return photos


def shown(datamodule, image):
    """Return an image before normalisation, of values from 0 to 255."""
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (datamodule.mean, datamodule.std))
    return (image * std + mean) * 255


@pytest.mark.parametrize("size", [20, 160])
def test_evaluation_shows_the_middle_square(photos, size):
    datamodule = photos(image_size=size)
    (wide, _), (high, _) = datamodule.test_set[0], datamodule.test_set[1]
    assert wide.shape == high.shape == (3, size, size)
    # a quarter of the longer side is cut off at each end, and at 160 pixels an eighth of what is left
    cut = 0.25 if size == 20 else 0.25 + 0.5 * 0.0625
    for values in (shown(datamodule, wide).mean(1), shown(datamodule, high).mean(2)):
        ends = values[:, [0, -1]].mean(0)
        assert torch.allclose(ends.sort().values, torch.tensor([cut, 1 - cut]) * 255, atol=8)


def test_small_training_images_are_padded_crops_of_that_square_and_flipped(photos):
    datamodule = photos(image_size=32)
    square = shown(datamodule, datamodule.train_set[1][0])
    padded = torch.nn.functional.pad(square, (4, 4, 4, 4))
    crops = torch.stack([padded[:, y : y + 32, x : x + 32] for y in range(9) for x in range(9)])
    crops = torch.cat([crops, crops.flip(3)])
    found = set()
    for epoch in range(30):
        image = shown(datamodule, datamodule.train_dataset()[epoch, 1][0])
        distances = (crops - image).abs().amax((1, 2, 3))
        assert distances.min() < 1e-3
        found.add(int(distances.argmin()))
    assert len(found) > 10


def test_large_training_images_are_of_all_scales(photos):
    datamodule = photos(image_size=128)
    spans = []
    for epoch in range(30):
        image = shown(datamodule, datamodule.train_dataset()[epoch, 1][0])
        assert image.shape == (3, 128, 128)
        spans.append(float(image.mean(2).max() - image.mean(2).min()))
    # with the widest crop's sides of 4 to 3, two thirds of the height fit
    assert min(spans) < 80
    assert 130 < max(spans) < 175


@pytest.mark.parametrize("name", EXPECTED)
def test_batches_classes_and_splits(name, tmp_path):
    datamodule = ready(name, tmp_path, batch_size=8)
    classes, train, val, test, size = EXPECTED[name]
    assert datamodule.num_classes == len(set(datamodule.class_names)) == classes
    parts = (datamodule.train_set, datamodule.val_set, datamodule.test_set)
    assert [len(part) for part in parts] == [train, val, test]
    for part in parts:
        assert part.targets.bincount().tolist() == [len(part) // classes] * classes
    for loader in (datamodule.train_dataloader(), datamodule.val_dataloader(), datamodule.test_dataloader()):
        images, primary = next(iter(loader))
        assert images.dtype == torch.float32
        assert images.shape == (len(primary), 3, size, size)


@pytest.mark.parametrize("name", EXPECTED)
def test_splits_and_augmentation_are_functions_of_their_seeds(name, tmp_path):
    FOLDER_WRITERS[name](tmp_path)

    def shown(num_workers=0, **seeds):
        datamodule = made(name, tmp_path, image_size=16, batch_size=5, num_workers=num_workers, **seeds)
        datamodule.setup("fit")
        loader = datamodule.train_dataloader()
        loader.sampler.set_epoch(3)
        return torch.cat([images.sum(1) for images, _ in loader])

    first = shown(seed=1)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    assert torch.equal(first, shown(seed=1, num_workers=2))
    assert torch.equal(state, torch.get_rng_state())
    assert not torch.equal(first, shown(seed=2))


@pytest.mark.parametrize("name", EXPECTED)
def test_an_image_that_breaks_later_is_named(name, tmp_path):
    datamodule = ready(name, tmp_path, batch_size=4)
    pictures = [path for path in tmp_path.rglob("*") if path.suffix in (".jpg", ".png", ".JPEG")]
    for path in pictures:
        truncate(path)
    with pytest.raises(ValueError, match=rf"{tmp_path}/\S+ cannot be read as an image"):
        next(iter(datamodule.train_dataloader()))


@pytest.mark.parametrize("name", EXPECTED)
def test_missing_data_are_said_with_the_remedy(name, tmp_path):
    with pytest.raises(FileNotFoundError, match=str(tmp_path)) as error:
        made(name, tmp_path).setup()
    remedy = "<class>/" if name == "image_folder" else "UCF101.rar" if name == "ucf101" else "--data.data_dir"
    assert remedy in str(error.value)


@pytest.mark.parametrize("name", EXPECTED)
def test_plot_names_the_classes(name, tmp_path):
    datamodule = ready(name, tmp_path, image_size=16)
    titles = [axes.get_title() for axes in datamodule.plot().axes]
    assert set(titles) == set(datamodule.class_names)
    shown = datamodule.train_set.targets[torch.arange(16) * len(datamodule.train_set) // 16]
    assert titles == [datamodule.class_names[number] for number in shown.tolist()]


def test_a_size_too_small_to_see_is_refused(photos):
    with pytest.raises(ValueError, match="image_size is 4: use a whole number of at least 8"):
        photos(image_size=4)


@pytest.mark.parametrize(("folder", "sizes"), [("tiny-imagenet-20", (9000, 1000, 1000)), ("imagenet-5", (144, 16, 18))])
def test_the_real_images(folder, sizes):
    root = Path(os.environ.get("MAXL_DATA_DIR") or "nowhere")
    if not (root / folder).is_dir():
        pytest.skip(f"MAXL_DATA_DIR names no folder with {folder}")
    module = TinyImageNetDataModule if "tiny" in folder else ImageNetSubsetDataModule
    datamodule = module(folder=folder, num_workers=2, batch_size=16)
    datamodule.setup()
    parts = (datamodule.train_set, datamodule.val_set, datamodule.test_set)
    assert tuple(len(part) for part in parts) == sizes
    images, primary = next(iter(datamodule.train_dataloader()))
    assert images.shape == (16, 3, datamodule.image_size, datamodule.image_size)
    assert 0.5 < images.std() < 1.5
    assert abs(images.mean()) < 0.5
    assert primary.unique().numel() > 2
