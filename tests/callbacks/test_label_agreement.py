"""Agreement with human labels against its definition."""

import math
from collections import Counter

import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch.utils.data import Subset
from watching import PSI, FixedGenerator, Shades, digits, maxl, watch

from maxl_lightning import DigitsDataModule, MultiTaskModule, MultiTaskNetwork
from maxl_lightning.callbacks import LabelAgreement
from maxl_lightning.callbacks.label_agreement import agreement, chance, human_labels
from maxl_lightning.labels import HumanLabels, UniformLabels

INFORMATION, RAND = "train/human_mutual_information", "train/human_rand_index"
WITHIN = "_within_classes"


def entropy(labels):
    return -sum(n / len(labels) * math.log(n / len(labels)) for n in Counter(labels).values())


def mutual_information(a, b):
    """Normalised by the mean of both entropies."""
    information = entropy(a) + entropy(b) - entropy(list(zip(a, b, strict=True)))
    return information / ((entropy(a) + entropy(b)) / 2)


def rand_index(a, b):
    """Hubert and Arabie's, from pairs of images."""
    pairs = [(i, j) for i in range(len(a)) for j in range(i)]
    same_a, same_b = ([x[i] == x[j] for i, j in pairs] for x in (a, b))
    both = sum(p and q for p, q in zip(same_a, same_b, strict=True))
    expected = sum(same_a) * sum(same_b) / len(pairs)
    return (both - expected) / ((sum(same_a) + sum(same_b)) / 2 - expected)


def test_both_numbers_by_definition():
    generator = torch.Generator().manual_seed(0)
    human = torch.randint(4, (60,), generator=generator)
    guessed = torch.randint(3, (60,), generator=generator)
    learned = torch.where(torch.rand(60, generator=generator) < 0.6, human, guessed)
    result = agreement(human, learned)
    assert result.information == pytest.approx(mutual_information(human.tolist(), learned.tolist()))
    assert result.rand == pytest.approx(rand_index(human.tolist(), learned.tolist()))


def test_numbers_of_classes_do_not_matter():
    human = torch.arange(40) % 4
    assert agreement(human, 3 - human) == pytest.approx((1, 1))
    assert chance(human, 3 - human) < 0.25
    random = torch.randint(4, (4000,), generator=torch.Generator().manual_seed(0))
    assert agreement(torch.arange(4000) % 4, random) == pytest.approx((0, 0), abs=0.01)


class Human(Shades):
    """The human label of image i is whether it is bright; of class 1 people did not tell images apart."""

    def __getitem__(self, index):
        image, primary = super().__getitem__(index)
        return image, primary, (0, 3, 4)[primary] + int(index >= 15 and primary != 1)


DARK, BRIGHT = torch.tensor([0.0, 9, 0, 0, 0, 9]), torch.tensor([9.0, 0, 0, 0, 0, 9])
HALVES = FixedGenerator(lambda b: torch.where(b < 0.5, DARK, BRIGHT))


def test_human_labels_as_third_entry():
    """Class 0 is split as people did, class 2 not at all."""
    callback = LabelAgreement(num_images=30)
    watch([callback], maxl(3, PSI, generator=HALVES), Human(30))
    assert sorted(callback.agreements) == [0, 2]  # class 1 is not split
    assert callback.agreements[0] == pytest.approx((1, 1))
    assert callback.agreements[2] == pytest.approx((0, 0))
    numbers = callback.history[1]
    assert numbers[INFORMATION + WITHIN] == pytest.approx(0.5)
    assert numbers[RAND + WITHIN] == pytest.approx(0.5)
    assert numbers[INFORMATION] > 0.8  # the primary classes agree
    bars = callback.draw(1).axes[0]
    assert [patch.get_height() for patch in bars.patches] == pytest.approx([1, 0, 1, 0])


def test_human_labels_of_the_source_for_the_images_of_the_sample():
    data = digits(num_train=100, auxiliary_labels=HumanLabels())
    module = MultiTaskModule(MultiTaskNetwork(2, (5, 5), maxl().network.trunk))
    callback = LabelAgreement(num_images=50)
    watch([callback], module, data)
    assert callback.history[1] == pytest.approx({f"{n}{w}": 1 for n in (INFORMATION, RAND) for w in ("", WITHIN)})
    chosen = data.train_set.indices[callback.sample.indices]
    expected = [5 * (digit % 2) + digit // 2 for digit in data.train_set.source.digits[chosen].tolist()]
    assert callback._human.tolist() == expected


def test_uniform_labels_agree_within_no_class():
    module = MultiTaskModule(MultiTaskNetwork(2, (5, 5), maxl().network.trunk))
    callback = LabelAgreement()
    watch([callback], module, digits(auxiliary_labels=UniformLabels()))
    assert callback.history[1][RAND + WITHIN] == 0


def test_human_labels_behind_a_subset():
    data = DigitsDataModule()
    data.setup("fit")
    whole = human_labels(data.train_set, torch.arange(200), 10)
    part = human_labels(Subset(data.train_set, range(100, 200)), torch.tensor([3, 5]), 10)
    assert part.tolist() == whole[[103, 105]].tolist()
    assert human_labels(data.train_set.source, data.train_set.indices, 10).tolist() == whole.tolist()
    assert human_labels(Shades(), torch.arange(3), 10) is None


def test_levels_that_there_are_not_are_refused_with_the_remedy():
    module = maxl(2, (3, 3))
    with pytest.raises(MisconfigurationException, match=r"no level of 6 .* Set human_classes"):
        watch([LabelAgreement()], module)
    callback = LabelAgreement(human_classes=10)
    watch([callback], module)
    assert callback.history


def test_data_without_human_labels_are_refused():
    with pytest.raises(MisconfigurationException, match="no human labels"):
        watch([LabelAgreement()], maxl(3, PSI), Shades())
    module = MultiTaskModule(MultiTaskNetwork(3, PSI, maxl(3, PSI).network.trunk))
    with pytest.raises(MisconfigurationException, match="no human labels"):
        watch([LabelAgreement()], module, Human())  # the third entry is what it learns
