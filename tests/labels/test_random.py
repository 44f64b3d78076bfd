"""Random labels: a function of seed, image and ψ, with equal chances."""

import pytest
import torch
from lightning.pytorch import seed_everything

from maxl_lightning.datamodules import DigitsDataModule
from maxl_lightning.datasets import DatasetView, Digits
from maxl_lightning.labels import RandomLabels

PSI = (5, 3)


@pytest.fixture(scope="module")
def digits():
    return Digits()


def test_every_image_gets_a_class_of_its_own_block(digits):
    labels = RandomLabels(seed=0)(DatasetView(digits), PSI)
    assert labels.dtype == torch.int64
    assert set(labels[digits.targets == 0].tolist()) == {0, 1, 2, 3, 4}
    assert set(labels[digits.targets == 1].tolist()) == {5, 6, 7}


def test_sub_classes_have_equal_chances_and_are_independent_of_the_image(digits):
    """Counts stay within four standard deviations of a fair draw's, in each digit by itself."""
    labels = RandomLabels(seed=0)(DatasetView(digits), PSI)
    for digit in range(10):
        mine = labels[digits.digits == digit]
        size, start = (5, 0) if digit % 2 == 0 else (3, 5)
        expected, deviation = len(mine) / size, (len(mine) * (1 - 1 / size) / size) ** 0.5
        counts = mine.bincount(minlength=8)[start : start + size]
        assert (counts - expected).abs().max() < 4 * deviation


def test_an_images_label_does_not_depend_on_the_other_images(digits):
    everything = RandomLabels(seed=1)(DatasetView(digits), PSI)
    some = torch.tensor([1000, 3, 77, 500])
    assert torch.equal(RandomLabels(seed=1)(DatasetView(digits, some), PSI), everything[some])
    shorter = Digits(indices=torch.arange(600))
    assert torch.equal(RandomLabels(seed=1)(DatasetView(shorter), PSI), everything[:600])


def test_the_seed_decides_and_nothing_else_is_drawn_from(digits):
    view = DatasetView(digits)
    state = torch.random.get_rng_state()
    first = RandomLabels(seed=1)(view, PSI)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.rand(3)
    assert torch.equal(RandomLabels(seed=1)(view, PSI), first)
    assert (RandomLabels(seed=2)(view, PSI) != first).float().mean() > 0.6  # 0.73 of two independent draws differ


def test_by_default_labels_follow_the_seed_of_the_run(digits, monkeypatch):
    view = DatasetView(digits)
    monkeypatch.setenv("PL_GLOBAL_SEED", "0")  # put back afterwards
    seed_everything(3)
    assert torch.equal(RandomLabels()(view, PSI), RandomLabels(seed=3)(view, PSI))
    seed_everything(4)
    assert torch.equal(RandomLabels()(view, PSI), RandomLabels(seed=4)(view, PSI))


def test_a_data_module_hands_them_out_with_the_images():
    data = DigitsDataModule(auxiliary_labels=RandomLabels(seed=0), seed=0)
    data.setup("fit")
    expected = RandomLabels(seed=0)(data.train_set, data.psi)
    _, primary, auxiliary = next(iter(data.train_dataloader()))
    assert torch.equal(auxiliary // 5, primary)
    assert data.train_dataset()[17][2] == expected[17]


@pytest.mark.parametrize("seed", [-1, 2**32, 1.0, True])
def test_a_seed_out_of_range_is_refused(seed):
    with pytest.raises(ValueError, match=f"seed is {seed}"):
        RandomLabels(seed=seed)
