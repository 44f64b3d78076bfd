"""Labels handed out beside the images, the checks on them, and uniform labels."""

import pytest
import torch

from maxl_lightning.datasets import DatasetView
from maxl_lightning.labels import AuxiliaryDataset, UniformLabels, check_auxiliary_labels

PSI = (2, 1)


class Pair:
    """Two images of the primary classes 1 and 0."""

    targets = (1, 0)

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return torch.full((1,), float(index)), self.targets[index]


def test_uniform_labels_spread_over_the_images_own_block():
    labels = UniformLabels()(DatasetView(Pair()), PSI)
    assert labels.tolist() == [[0.0, 0.0, 1.0], [0.5, 0.5, 0.0]]


def test_the_data_set_hands_out_triples_for_both_kinds_of_key():
    labels = torch.tensor([2, 1])
    dataset = AuxiliaryDataset(DatasetView(Pair()), labels, PSI)
    image, primary, auxiliary = dataset[(5, 0)]
    assert (float(image), primary, int(auxiliary)) == (0.0, 1, 2)
    assert int(dataset[1][2]) == 1
    assert len(dataset) == 2
    assert dataset.targets.tolist() == [1, 0]


def test_an_index_outside_the_own_block_is_allowed():
    check_auxiliary_labels(torch.tensor([0, 2]), 2, PSI)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_soft_labels_of_any_precision_are_allowed(dtype):
    check_auxiliary_labels(torch.tensor([[0.1, 0.2, 0.7], [1 / 3, 1 / 3, 1 / 3]]).softmax(1).to(dtype), 2, PSI)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (torch.tensor([0, 3]), "image 1 is 3, it must be a class between 0 and 2"),
        (torch.tensor([-1, 0]), "image 0 is -1, it must be a class between 0 and 2"),
        (torch.tensor([0, 1, 2]), r"shape \(2,\).*got torch.int64 of shape \(3,\)"),
        (torch.tensor([0, 1], dtype=torch.int32), "got torch.int32"),
        (torch.tensor([0.0, 1.0]), r"got torch.float32 of shape \(2,\)"),
        (torch.full((2, 2), 0.5), r"shape \(2, 3\) = \(images, Σψ\); got torch.float32 of shape \(2, 2\)"),
        (torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.0, 0.0]]), "image 1 .* summing to one .1 of 2 images"),
        (torch.tensor([[2.0, -1.0, 0.0], [1.0, 0.0, 0.0]]), "image 0 .* non-negative"),
        (torch.tensor([[1.0, 0.0, 0.0], [torch.nan, 0.0, 1.0]]), "image 1 .* finite"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        AuxiliaryDataset(DatasetView(Pair()), labels, PSI)
