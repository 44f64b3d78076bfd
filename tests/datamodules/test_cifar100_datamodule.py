import os
from pathlib import Path

import pytest
import torch
from tiny_cifar100 import PSI, truncate, write_tiny_cifar100

from maxl_lightning.datamodules import CIFAR100DataModule
from maxl_lightning.datasets import HierarchicalCIFAR100
from maxl_lightning.datasets.cifar100_hierarchy import class_names
from maxl_lightning.labels import UniformLabels

needs_real_data = pytest.mark.skipif(
    not Path(os.environ.get("MAXL_DATA_DIR", ""), "cifar-100-python").is_dir() or "MAXL_DATA_DIR" not in os.environ,
    reason="MAXL_DATA_DIR names no folder with cifar-100-python",
)


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(HierarchicalCIFAR100, "url", "http://127.0.0.1:9/cifar-100-python.tar.gz")
    return write_tiny_cifar100(tmp_path, monkeypatch).parent


def ready(root, val_fraction=0.2, **arguments):
    datamodule = CIFAR100DataModule(data_dir=str(root), num_workers=0, val_fraction=val_fraction, **arguments)
    datamodule.prepare_data()
    datamodule.setup()
    return datamodule


def splits(datamodule):
    return datamodule.train_set.indices.tolist(), datamodule.val_set.indices.tolist()


@pytest.mark.parametrize(("levels", "psi"), [*PSI.items(), ((20, 20), None), ((100, 100), None), ((20, 10), None)])
def test_classes_and_psi_are_known_without_data(monkeypatch, levels, psi):
    monkeypatch.setenv("MAXL_DATA_DIR", "/nowhere")
    datamodule = CIFAR100DataModule(*levels)
    assert datamodule.num_classes == levels[0]
    assert datamodule.class_names == class_names(levels[0])
    assert datamodule.psi == psi


def test_the_defaults_are_the_papers_apart_from_validation():
    datamodule = CIFAR100DataModule()
    assert (datamodule.num_classes, sum(datamodule.psi), datamodule.batch_size) == (20, 100, 100)
    assert (datamodule.mean, datamodule.std) == ((0.5,) * 3, (0.2,) * 3)
    assert datamodule.val_fraction == 0.1


def test_a_given_psi_replaces_the_hierarchys():
    assert CIFAR100DataModule(3, psi=2).psi == (2, 2, 2)
    with pytest.raises(ValueError, match="psi has 2 entries but there are 3"):
        CIFAR100DataModule(3, psi=[2, 2])


@pytest.mark.parametrize("levels", [(7, 100), (20, 7)])
def test_levels_that_do_not_exist_are_refused(levels):
    with pytest.raises(ValueError, match="is 7: the levels of CIFAR-100"):
        CIFAR100DataModule(*levels)


def test_every_level_has_the_same_splits_in_the_fine_classes_shares(root):
    by_level = [ready(root, num_classes=level) for level in (3, 20, 100)]
    assert splits(by_level[0]) == splits(by_level[1]) == splits(by_level[2])
    assert by_level[2].train_set.targets.bincount().tolist() == [4] * 100
    assert by_level[2].val_set.targets.bincount().tolist() == [1] * 100
    assert len(by_level[0].test_set) == 100


def test_without_validation_all_images_are_trained_on(root):
    datamodule = ready(root, val_fraction=0)
    assert (len(datamodule.train_set), len(datamodule.val_set)) == (500, 0)


def test_training_images_are_crops_of_the_padded_image_flipped_or_not(root):
    datamodule = ready(root, val_fraction=0)
    augmented, plain = datamodule.train_dataset(), datamodule.train_set
    offsets, flips = set(), 0
    for index in range(60):
        padded = torch.nn.functional.pad(plain[index][0] - (0 - 0.5) / 0.2, (4, 4, 4, 4)) + (0 - 0.5) / 0.2
        crops = {(y, x): padded[:, y : y + 32, x : x + 32] for y in range(9) for x in range(9)}
        image = augmented[(3, index)][0]
        found = [(at, flip) for at, crop in crops.items() for flip in (False, True)
                 if torch.allclose(image, crop.flip(2) if flip else crop, atol=1e-5)]  # fmt: skip
        assert len(found) == 1
        offsets.add(found[0][0])
        flips += found[0][1]
    assert len(offsets) > 25
    assert 15 < flips < 45


def test_evaluation_images_are_normalised_and_nothing_else(root):
    datamodule = ready(root)
    image, _ = datamodule.test_set[3]
    raw = torch.tensor(datamodule.test_set.source.data[3]).permute(2, 0, 1)
    torch.testing.assert_close(image, (raw / 255 - 0.5) / 0.2)


def test_labelled_batches_are_triples(root):
    datamodule = ready(root, val_fraction=0, auxiliary_labels=UniformLabels(), batch_size=25)
    images, primary, auxiliary = next(iter(datamodule.train_dataloader()))
    assert (images.shape, primary.shape, auxiliary.shape) == ((25, 3, 32, 32), (25,), (25, 100))
    assert torch.equal(auxiliary.argmax(1) // 5, primary)


def test_missing_data_say_how_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setattr(HierarchicalCIFAR100, "url", "http://127.0.0.1:9/cifar-100-python.tar.gz")
    datamodule = CIFAR100DataModule(data_dir=str(tmp_path))
    for read in (datamodule.prepare_data, datamodule.setup):
        with pytest.raises(FileNotFoundError, match=f"was not found in {tmp_path}.*--data.data_dir"):
            read()


def test_a_truncated_file_is_named_at_once(root):
    truncate(root / "cifar-100-python" / "train")
    with pytest.raises(ValueError, match="cifar-100-python/train is corrupt"):
        ready(root)


def test_plot_names_the_classes(root):
    datamodule = ready(root, num_classes=100)
    shown = torch.arange(16) * len(datamodule.train_set) // 16
    first = datamodule.train_set.targets[shown].tolist()
    assert [axes.get_title() for axes in datamodule.plot().axes] == [class_names(100)[c] for c in first]


@needs_real_data
def test_the_real_images_split_as_documented():
    datamodule = CIFAR100DataModule(num_workers=0)
    datamodule.prepare_data()
    datamodule.setup()
    sizes = [len(part) for part in (datamodule.train_set, datamodule.val_set, datamodule.test_set)]
    assert sizes == [45_000, 5_000, 10_000]
    assert datamodule.train_set.targets.bincount().tolist() == [2250] * 20
    images, primary = next(iter(datamodule.train_dataloader()))
    assert images.shape == (100, 3, 32, 32)
    assert primary.max() < 20


@needs_real_data
@pytest.mark.parametrize("levels", PSI)
def test_the_real_images_have_as_many_finer_classes_as_psi_says(levels):
    datamodule = CIFAR100DataModule(*levels)
    images = datamodule.test_source()
    primary, finer = torch.tensor(images.targets), images.finer_targets(levels[1])
    inside = [finer[primary == number].unique().tolist() for number in range(levels[0])]
    assert tuple(map(len, inside)) == PSI[levels] == datamodule.psi
    assert [number for block in inside for number in block] == list(range(levels[1]))  # contiguous blocks in order
