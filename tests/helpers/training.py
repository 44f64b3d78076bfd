"""Small fits that the module tests share."""

import cases
import torch
from lightning.pytorch import Trainer
from torch.utils.data import DataLoader, TensorDataset

from maxl_lightning.modules import MAXLModule

SGD1 = {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-3}
SGD2 = {"lr": 0.5, "weight_decay": 5e-4}


def data(n=12, batch_size=6, dtype=torch.float64, auxiliary=False, seed=0, **options):
    """A loader of (image, primary), or of triples with soft auxiliary labels."""
    x, y, _ = cases.batch(n=n, dtype=dtype, seed=seed)
    tensors = [x, y]
    if auxiliary:
        noise = torch.randn(n, sum(cases.PSI), generator=torch.Generator().manual_seed(1), dtype=dtype)
        tensors.append(noise.softmax(1))
    return DataLoader(TensorDataset(*tensors), batch_size=batch_size, **options)


def maxl(trunk="convnet4", dtype=torch.float64, psi=cases.PSI, **options):
    """A MAXLModule with constant learning rates."""
    network, generator, _ = cases.networks(trunk, dtype=dtype, psi=psi)
    defaults = {
        "optimizer": lambda p: torch.optim.SGD(p, **SGD1),
        "meta_optimizer": lambda p: torch.optim.SGD(p, **SGD2),
        "lr_scheduler": None,
        "meta_lr_scheduler": None,
    }
    return MAXLModule(network, generator, **{**defaults, **options})


def trainer(epochs=2, callbacks=None, **options):
    """A silent Trainer."""
    defaults = {"logger": False, "enable_checkpointing": False, "accelerator": "cpu"}
    return Trainer(
        max_epochs=epochs, enable_progress_bar=False, enable_model_summary=False, callbacks=callbacks,
        **{**defaults, **options},
    )  # fmt: skip


def fit(module, loader, epochs=2, val=None, callbacks=None, ckpt_path=None, **options):
    """Fit, and return the Trainer."""
    made = trainer(epochs, callbacks, **options)
    made.fit(module, loader, val, ckpt_path=ckpt_path)
    return made


def state(*modules):
    """Copies of all parameters and buffers."""
    return {f"{i}.{n}": t.clone() for i, m in enumerate(modules) for n, t in m.state_dict().items()}


def assert_same(a, b, tolerance=0.0):
    """Fail unless two states are equal."""
    assert a.keys() == b.keys()
    for name in a:
        assert (a[name].double() - b[name].double()).abs().max() <= tolerance, name
