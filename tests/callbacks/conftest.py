"""What runs without a folder of their own write stays out of the checkout."""

import pytest


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
