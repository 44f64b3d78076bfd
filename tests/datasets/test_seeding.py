import pytest
import torch

from maxl_lightning.datasets.seeding import derive_seed, seeded


def test_every_place_in_a_run_has_its_own_seed():
    keys = [(seed, epoch, index) for seed in range(4) for epoch in range(4) for index in range(50)]
    assert len({derive_seed(*key) for key in keys}) == len(keys)


def test_the_order_of_an_epoch_and_its_first_image_have_different_seeds():
    assert derive_seed(5, 3) != derive_seed(5, 3, 0)


def test_the_global_generator_is_untouched_even_by_a_failing_transform():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    with pytest.raises(RuntimeError), seeded(7):
        torch.rand(100).view(3)
    assert torch.equal(torch.rand(3), expected)


def test_accelerators_are_not_reseeded(monkeypatch):
    calls = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", calls.append)
    torch.manual_seed(0)
    assert calls  # so the patch would notice
    calls.clear()
    with seeded(7):
        torch.rand(1)
    assert not calls
