import pytest
import torch

from maxl_lightning.datasets import DatasetView


class Numbers:
    """Image i is the number i, of class i % 3."""

    def __init__(self, size=10):
        self.targets = [number % 3 for number in range(size)]

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, index):
        return torch.tensor(float(index)), self.targets[index]


class Undecodable(Numbers):
    def __getitem__(self, index):
        raise OSError("no image may be read")


def jitter(image):
    return image + torch.rand(())


def test_a_view_gives_the_chosen_images_transformed():
    view = DatasetView(Numbers(), [7, 2], transform=lambda image: -image)
    assert [(float(image), primary) for image, primary in view] == [(-7.0, 1), (-2.0, 2)]


def test_augmentation_is_a_function_of_seed_epoch_and_index():
    def value(seed, key):
        return float(DatasetView(Numbers(), None, jitter, seed)[key][0])

    assert value(0, (4, 2)) == value(0, (4, 2))
    draws = {value(0, (4, 2)) % 1, value(1, (4, 2)) % 1, value(0, (5, 2)) % 1, value(0, (4, 3)) % 1}
    assert len(draws) == 4


def test_a_bare_index_is_of_epoch_0():
    view = DatasetView(Numbers(), None, jitter, seed=3)
    assert view[5] == view[(0, 5)]
    assert view[5] != view[(1, 5)]


def test_augmentation_does_not_depend_on_the_other_images_of_the_view():
    whole = DatasetView(Numbers(), None, jitter, seed=3)
    part = DatasetView(Numbers(), [8, 6], jitter, seed=3)
    assert part[(2, 1)] == whole[(2, 6)]


def test_the_global_generator_is_neither_used_nor_moved():
    view = DatasetView(Numbers(), None, jitter, seed=3)
    before = torch.get_rng_state()
    first = view[(1, 4)]
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(5)
    assert view[(1, 4)] == first


def test_without_a_seed_nothing_is_seeded():
    view = DatasetView(Numbers(), None, jitter)
    assert view[(1, 4)] != view[(1, 4)]


def test_targets_are_known_without_reading_an_image():
    view = DatasetView(Undecodable(), [4, 5, 6])
    assert torch.equal(view.targets, torch.tensor([1, 2, 0]))
    assert view.targets.dtype == torch.int64


@pytest.mark.parametrize("indices", [[3, 10], [-1]])
def test_indices_outside_the_source_are_refused(indices):
    with pytest.raises(ValueError, match=rf"indices holds {indices[-1]}, but the source has the images 0 to 9"):
        DatasetView(Numbers(), indices)


def test_a_source_without_targets_is_refused():
    with pytest.raises(ValueError, match="list needs an attribute `targets`"):
        DatasetView([1, 2, 3])


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match="seed is -2"):
        DatasetView(Numbers(), seed=-2)
