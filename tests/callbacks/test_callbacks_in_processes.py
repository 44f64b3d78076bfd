"""Two processes: nobody waits for ever, there is one set of pictures, and the counts are of all images."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

HELPERS = Path(__file__).parents[1] / "helpers"
SCRIPT = """
import sys, torch
from watching import digits, maxl, watch
from maxl_lightning.callbacks import *

out = sys.argv[1]
matrix, cosine = ConfusionMatrix(every_n_epochs=2), GradientCosine(num_images=40, batch_size=20, every_n_epochs=2)
others = [made(every_n_epochs=2, num_images=40) for made in (FeatureMap, LabelAgreement, LabelGallery, LabelUsage)]
data = digits(val_fraction=0.1)
module = maxl()
trainer = watch([matrix, cosine, *others], module, data, 3, out, strategy="ddp", devices=2)
trainer.test(module, datamodule=data, verbose=False)
seen = {"counts": matrix.counts, "cosines": cosine.history, "images": len(data.val_set)}
torch.save(seen, f"{out}/{trainer.global_rank}")
"""


@pytest.mark.slow
def test_two_processes(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = tmp_path / "rank.py"
    script.write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(HELPERS), "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    environment.pop("PL_GLOBAL_SEED", None)
    subprocess.run([sys.executable, str(script), str(tmp_path)], check=True, env=environment, timeout=300)
    first, second = (torch.load(tmp_path / str(rank)) for rank in (0, 1))
    names = sorted(path.name for path in tmp_path.rglob("*.png"))
    looking = ("feature_map", "gradient_cosine", "label_agreement", "label_gallery", "label_usage")
    kinds = ("confusion_matrix_val", *looking)
    expected = [f"{kind}_epoch_00{epoch}.png" for kind in kinds for epoch in (2, 3)]
    assert names == sorted([*expected, "confusion_matrix_test.png"])
    assert first["counts"]["val"].sum() == first["images"]
    for stage in ("val", "test"):
        assert torch.equal(first["counts"][stage], second["counts"][stage])
    assert first["cosines"] == second["cosines"]
