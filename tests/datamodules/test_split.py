import pytest
import torch

from maxl_lightning.datamodules.split import grouped_split, stratified_split

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
    with pytest.raises(ValueError, match=r"both need one image of each class, but class 1 \(from 0\) has a single one"):
        stratified_split([0, 0, 0, 1], 2, seed=0, name="size")


def test_no_group_is_parted_and_every_class_keeps_its_share():
    groups = torch.arange(20).repeat(3)[torch.randperm(60, generator=torch.Generator().manual_seed(0))]
    strata = groups % 2
    first, others = grouped_split(strata, groups, share=0.2, seed=1, name="val_fraction")
    assert sorted([*first.tolist(), *others.tolist()]) == list(range(60))
    assert not set(groups[first].tolist()) & set(groups[others].tolist())
    assert strata[first].bincount().tolist() == [6, 6]  # 2 of the 10 groups of each class, of 3 images each
    again = grouped_split(strata, groups, share=0.2, seed=1, name="val_fraction")
    assert torch.equal(first, again[0])
    assert not torch.equal(first, grouped_split(strata, groups, share=0.2, seed=2, name="val_fraction")[0])


def test_too_few_groups_are_named_as_such():
    with pytest.raises(ValueError, match="val_fraction asks for 1 of 4 groups"):
        grouped_split([0, 0, 1, 1], [0, 1, 2, 3], share=0.2, seed=0, name="val_fraction")
