import pytest
import torch

from maxl_lightning.datamodules.split import stratified_split

STRATA = torch.tensor([0] * 30 + [1] * 60 + [2] * 10)


def test_parts_are_disjoint_complete_and_stratified():
    first, others = stratified_split(STRATA, 20, seed=0, name="size")
    assert sorted([*first.tolist(), *others.tolist()]) == list(range(100))
    assert STRATA[first].bincount().tolist() == [6, 12, 2]
    assert STRATA[others].bincount().tolist() == [24, 48, 8]


def test_the_seed_decides():
    first = stratified_split(STRATA, 20, seed=0, name="size")[0]
    assert torch.equal(stratified_split(STRATA, 20, seed=0, name="size")[0], first)
    assert not torch.equal(stratified_split(STRATA, 20, seed=1, name="size")[0], first)


@pytest.mark.parametrize("size", [0, 100])
def test_none_and_all_are_possible(size):
    first, others = stratified_split(STRATA, size, seed=0, name="size")
    assert (len(first), len(others)) == (size, 100 - size)


@pytest.mark.parametrize("size", [2, 98])
def test_a_part_without_room_for_every_class_is_refused(size):
    with pytest.raises(ValueError, match=f"num_train asks for {size} of 100 .* between 3 and 97"):
        stratified_split(STRATA, size, seed=0, name="num_train")


def test_a_class_of_a_single_image_is_refused():
    with pytest.raises(ValueError, match="both parts need an image of each class"):
        stratified_split([0, 0, 0, 1], 2, seed=0, name="size")
