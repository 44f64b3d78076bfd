"""Human labels: the data set's own finer classes, numbered in ψ's blocks."""

import os
import pickle
import re
from copy import copy
from pathlib import Path

import pytest
import torch
from tiny_cifar100 import PSI

from maxl_lightning.datamodules import DigitsDataModule
from maxl_lightning.datasets import DatasetView, Digits, HierarchicalCIFAR100
from maxl_lightning.labels import HumanLabels


class Plain:
    """Two images without finer classes."""

    targets = (0, 1)

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return torch.zeros(1), self.targets[index]


def test_digits_are_the_finer_classes_of_parity():
    digits = Digits()
    some = torch.tensor([9, 2, 700])
    expected = [{0: 0, 2: 1, 4: 2, 6: 3, 8: 4, 1: 5, 3: 6, 5: 7, 7: 8, 9: 9}[int(digits.digits[i])] for i in some]
    assert HumanLabels()(DatasetView(digits, some), (5, 5)).tolist() == expected


def test_a_data_set_without_finer_classes_is_refused():
    with pytest.raises(ValueError, match=r"Plain knows none: give it a method finer_targets.*KMeansLabels"):
        HumanLabels()(DatasetView(Plain()), (1, 1))


@pytest.mark.parametrize(
    ("psi", "message"),
    [
        ([6, 4], r"psi is \[6, 4\], but the 10 finer classes of Digits have the hierarchy psi=\[5, 5\]"),
        (3, r"psi=\[3, 3\] asks Digits for 6 finer classes: .* only task=\"parity\" has one, of 10 classes"),
    ],
)
def test_a_psi_that_is_not_the_data_sets_is_refused(psi, message):
    with pytest.raises(ValueError, match=message):
        DigitsDataModule(psi=psi, auxiliary_labels=HumanLabels()).setup("fit")


@pytest.fixture(scope="module")
def cifar100():
    root = os.environ.get("MAXL_DATA_DIR")
    if not root or not Path(root, "cifar-100-python").is_dir():
        pytest.skip("MAXL_DATA_DIR names no folder with cifar-100-python")
    with open(Path(root, "cifar-100-python", "train"), "rb") as stream:
        file = pickle.load(stream, encoding="latin1")
    written = {20: torch.tensor(file["coarse_labels"]), 100: torch.tensor(file["fine_labels"])}
    read = HierarchicalCIFAR100(root, 20)
    return {primary: at_level(read, primary) for primary in (3, 10, 20)}, written


def at_level(source, level):
    """The same images at another level, without reading them again."""
    source = copy(source)
    source.num_classes, source.targets = level, source.level_targets(level).tolist()
    return source


@pytest.mark.parametrize("pair", PSI)
def test_real_cifar100_has_the_papers_hierarchies(cifar100, pair):
    """Each label stands for one class of the finer level, and lies in the block of the image's primary class."""
    sources, written = cifar100
    primary, auxiliary = pair
    source = sources[primary]
    labels = HumanLabels()(DatasetView(source), PSI[pair])
    finer = written[auxiliary] if auxiliary in written else sources[auxiliary].level_targets(auxiliary)
    coarser = written[primary] if primary in written else torch.tensor(source.targets)
    assert len(set(zip(labels.tolist(), finer.tolist(), strict=True))) == auxiliary
    assert labels.unique().tolist() == list(range(auxiliary))
    owner = torch.repeat_interleave(torch.arange(primary), torch.tensor(PSI[pair]))
    assert torch.equal(owner[labels], coarser)


@pytest.mark.parametrize("pair", [(3, 10), (10, 100)])
def test_another_psi_with_as_many_classes_is_refused_on_real_images(cifar100, pair):
    other = (*PSI[pair][1:], PSI[pair][0])
    message = rf"psi is {re.escape(str(list(other)))}, but .* psi={re.escape(str(list(PSI[pair])))}"
    with pytest.raises(ValueError, match=message):
        HumanLabels()(DatasetView(cifar100[0][pair[0]]), other)
