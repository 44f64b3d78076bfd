import pytest
import torch

from maxl_lightning.datamodules import DigitsDataModule


def ready(**arguments):
    datamodule = DigitsDataModule(**arguments)
    datamodule.setup()
    return datamodule


def test_classes_and_psi_are_known_after_construction():
    parity = DigitsDataModule()
    assert (parity.num_classes, parity.class_names, parity.psi) == (2, ("even", "odd"), (5, 5))
    digit = DigitsDataModule("digit")
    assert (digit.num_classes, digit.class_names, digit.psi) == (10, tuple("0123456789"), None)
    assert DigitsDataModule(psi=3).psi == (3, 3)
    assert DigitsDataModule("digit", psi=2).psi == (2,) * 10


def test_the_splits_have_their_sizes_and_keep_the_digits_shares():
    datamodule = ready()
    sizes = [len(part) for part in (datamodule.train_set, datamodule.val_set, datamodule.test_set)]
    assert sizes == [200, 300, 597]
    digits = datamodule.train_set.source.digits[datamodule.train_set.indices]
    assert set(digits.bincount().tolist()) <= {19, 20, 21}
    assert len(ready(num_train=None).train_set) == 900


def test_the_splits_share_no_image():
    datamodule = ready(num_train=None)
    parts = datamodule.train_set, datamodule.val_set, datamodule.test_set
    seen = [part.source.images[part.indices].flatten(1) for part in parts]
    assert len(torch.cat(seen).unique(dim=0)) == 1797  # no two of the digits are equal


def test_the_test_images_depend_on_split_seed_alone():
    images = ready().test_set.source.images
    for same in (ready(num_train=50), ready(task="digit"), ready(val_fraction=0.0), ready(seed=9)):
        assert torch.equal(same.test_set.source.images, images)
    assert not torch.equal(ready(split_seed=1).test_set.source.images, images)


def test_batches_are_normalised_images():
    images, primary = next(iter(ready(num_train=None, batch_size=900).train_dataloader()))
    assert images.shape == (900, 1, 8, 8)
    assert abs(float(images.mean())) < 0.1
    assert 0.8 < float(images.std()) < 1.1
    assert set(primary.tolist()) == {0, 1}


def test_a_task_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="task is 'colour'"):
        DigitsDataModule("colour")
