import pytest
import torch

from maxl_lightning.datasets import Digits


def test_images_are_grey_values_between_0_and_1():
    images = Digits().images
    assert images.shape == (1797, 1, 8, 8)
    assert (float(images.min()), float(images.max())) == (0.0, 1.0)


def test_parity_is_the_primary_class_and_the_digit_the_finer_one():
    digits = Digits("parity")
    finer = digits.finer_targets(10)
    assert torch.equal(finer // 5, digits.targets)  # the blocks of ψ = (5, 5)
    pairs = set(zip(digits.digits.tolist(), finer.tolist(), strict=True))
    assert pairs == {(0, 0), (2, 1), (4, 2), (6, 3), (8, 4), (1, 5), (3, 6), (5, 7), (7, 8), (9, 9)}


def test_a_part_keeps_images_and_classes_together():
    whole, part = Digits("digit"), Digits("digit", [30, 4])
    assert len(part) == 2
    assert torch.equal(part[0][0], whole[30][0])
    assert [part[i][1] for i in range(2)] == [whole[30][1], whole[4][1]]


def test_what_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="task is 'colour'"):
        Digits("colour")
    with pytest.raises(ValueError, match='task="digit" has no level of 10 finer classes'):
        Digits("digit").finer_targets(10)
