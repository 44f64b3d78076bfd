"""Settings and surroundings of all tests, and those that tests of the command line ask for."""

import gc
import sys

import pytest
import torch

# The tensors are tiny: a second thread gains nothing, and on a busy machine waiting for it takes most of the time.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path):
    """Keep from the checkout what runs write without a folder of their own."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def own_arguments(monkeypatch):
    """Keep pytest's arguments from the parser."""
    monkeypatch.setattr(sys, "argv", ["maxl"])


@pytest.fixture(scope="module")
def frozen_garbage():
    """Parsing makes many objects, and collecting the garbage would go through all that is imported each time."""
    gc.freeze()
    yield
    gc.unfreeze()
