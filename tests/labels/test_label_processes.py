"""Two processes share labels that one of them made."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

HELPERS = Path(__file__).parents[1] / "helpers"
SCRIPT = """
import os, sys, torch
from lightning.pytorch import Trainer
from numbered import Recorder
import maxl_lightning.labels.kmeans as kmeans
from maxl_lightning.datamodules import DigitsDataModule

out, trained = sys.argv[1], []
train = kmeans.train_autoencoder
kmeans.train_autoencoder = lambda *settings: trained.append(1) or train(*settings)

class Images(Recorder):
    def training_step(self, batch, batch_idx):
        return super().training_step(batch[:2], batch_idx)

source = kmeans.KMeansLabels(steps=20, seed=0, cache_dir=out)
data = DigitsDataModule(num_train=40, psi=3, auxiliary_labels=source, val_fraction=0)
flags = dict(logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False)
trainer = Trainer(max_epochs=1, accelerator="cpu", strategy="ddp", devices=2, **flags)
trainer.fit(Images(), datamodule=data)
torch.save((len(trained), data.train_dataset().labels), f"{out}/rank{trainer.global_rank}")
"""


@pytest.mark.slow
def test_two_processes_have_the_same_labels_and_one_makes_them(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = tmp_path / "rank.py"
    script.write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(HELPERS), "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, str(script), str(tmp_path)], check=True, env=environment, timeout=300)
    (made, labels), (made_too, labels_too) = (torch.load(tmp_path / f"rank{rank}") for rank in (0, 1))
    assert (made, made_too) == (1, 0)
    assert torch.equal(labels, labels_too)
    assert len(list(tmp_path.glob("kmeans-*.pt"))) == 1
