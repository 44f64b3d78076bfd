"""Two processes share labels that one of them made."""

import pytest
import torch
from ranks import run_ranks

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
    run_ranks(tmp_path, SCRIPT, str(tmp_path))
    (made, labels), (made_too, labels_too) = (torch.load(tmp_path / f"rank{rank}") for rank in (0, 1))
    assert (made, made_too) == (1, 0)
    assert torch.equal(labels, labels_too)
    assert len(list(tmp_path.glob("kmeans-*.pt"))) == 1
