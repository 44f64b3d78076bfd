import numpy as np
import pytest
import scipy.io
import torch
from tiny_data import NUM_TEST, write_tiny_svhn

from maxl_lightning.datasets import SVHN


@pytest.fixture
def root(tmp_path, monkeypatch):
    write_tiny_svhn(tmp_path, monkeypatch)
    return tmp_path


def test_targets_are_digits_with_ten_for_zero(root):
    dataset = SVHN(root, "test")
    written = scipy.io.loadmat(root / "test_32x32.mat")
    assert set(written["y"].ravel()) == set(range(1, 11))
    assert dataset.targets.dtype == torch.int64
    assert dataset.targets.tolist() == (written["y"].ravel() % 10).tolist()
    image, primary = dataset[7]
    assert np.array_equal(np.asarray(image), written["X"][:, :, :, 7])
    assert primary == written["y"][7, 0] == 7
    assert len(dataset) == NUM_TEST


def test_a_missing_split_alone_is_named(root):
    (root / "test_32x32.mat").unlink()
    with pytest.raises(FileNotFoundError, match=rf"SVHN was not found in {root} \(missing: {root}/test_32x32.mat\)"):
        SVHN(root, "test")
    assert len(SVHN(root, "train")) == 200
