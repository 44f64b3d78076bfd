import pytest
import torch
from torch.utils.data import DistributedSampler

from maxl_lightning.datamodules import EpochSampler


def keys(epoch=0, size=20, **arguments):
    sampler = EpochSampler(range(size), **arguments)
    sampler.set_epoch(epoch)
    assert len(sampler) == len(list(sampler))
    return list(sampler)


def test_one_process_sees_every_image_once():
    assert sorted(keys(epoch=3)) == [(3, index) for index in range(20)]


def test_the_order_is_a_function_of_seed_and_epoch():
    torch.manual_seed(0)
    first = keys(epoch=2, seed=5)
    torch.manual_seed(1)
    assert keys(epoch=2, seed=5) == first
    orders = {tuple(index for _, index in keys(epoch=epoch, seed=seed)) for epoch in range(3) for seed in range(3)}
    assert len(orders) == 9  # seed + epoch alone would give 5


def test_the_global_generator_is_untouched():
    before = torch.get_rng_state()
    keys()
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("num_replicas", [2, 5])
def test_processes_partition_the_images(num_replicas):
    parts = [keys(epoch=1, num_replicas=num_replicas, rank=rank) for rank in range(num_replicas)]
    assert {len(part) for part in parts} == {20 // num_replicas}
    assert sorted(key for part in parts for key in part) == [(1, index) for index in range(20)]


def test_processes_together_keep_the_order_of_one():
    parts = [keys(num_replicas=2, rank=rank) for rank in range(2)]
    assert [key for pair in zip(*parts, strict=True) for key in pair] == keys()


def test_what_does_not_divide_evenly_is_filled_with_the_first_images():
    parts = [keys(size=7, num_replicas=3, rank=rank) for rank in range(3)]
    assert {len(part) for part in parts} == {3}
    shown = [key for triple in zip(*parts, strict=True) for key in triple]
    assert shown == keys(size=7) + keys(size=7)[:2]


def test_more_processes_than_images_still_get_one_each():
    assert [len(keys(size=2, num_replicas=5, rank=rank)) for rank in range(5)] == [1] * 5


def test_skipping_holds_for_one_iteration():
    sampler = EpochSampler(range(20))
    whole = list(sampler)
    sampler.skip = 15
    assert list(sampler) == whole[15:]
    assert list(sampler) == whole


def test_lightning_takes_it_for_a_distributed_sampler():
    assert isinstance(EpochSampler(range(3)), DistributedSampler)
