"""Two epochs are one epoch and a resumed one, bit for bit; checkpoints say what they are."""

import copy

import cases
import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningDataModule, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.optim.lr_scheduler import StepLR
from training import assert_same, data, fit, maxl, state, trainer

from maxl_lightning.datamodules import DigitsDataModule
from maxl_lightning.labels import UniformLabels
from maxl_lightning.modules import MAXLModule, MultiTaskModule, SingleTaskModule
from maxl_lightning.networks import Classifier, ConvNet4, LabelGenerator, MultiTaskNetwork


class Dropout(torch.nn.Module):
    """A trunk that draws random numbers in training."""

    def __init__(self):
        super().__init__()
        self.trunk, self.dropout, self.out_features = ConvNet4(1, (4, 8, 8, 8)), torch.nn.Dropout(0.3), 8

    def forward(self, x):
        return self.dropout(self.trunk(x))


class PlainLoaders(LightningDataModule):
    """Somebody else's data module: ordinary loaders, which draw their order from the global random state."""

    def __init__(self, validate):
        super().__init__()
        self.validate = validate

    def train_dataloader(self):
        x, y, _ = cases.batch(n=20, channels=1, dtype=torch.float32)
        return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y % 2), batch_size=8, shuffle=True)

    def val_dataloader(self):
        return self.train_dataloader() if self.validate else []


def module(method, **options):
    torch.manual_seed(0)
    adam = {"optimizer": lambda p: torch.optim.Adam(p, lr=0.01), "lr_scheduler": lambda o: StepLR(o, 1, 0.5)}
    if method == "single":
        return SingleTaskModule(Classifier(2, Dropout()), **adam)
    if method == "multi":
        return MultiTaskModule(MultiTaskNetwork(2, 5, Dropout()), **adam)
    return MAXLModule(MultiTaskNetwork(2, 5, Dropout()), LabelGenerator(2, 5, Dropout()), **adam, **options)


def loaders(kind, method):
    match kind:
        case "ours":
            labels = UniformLabels() if method == "multi" else None
            return DigitsDataModule(num_train=40, batch_size=16, auxiliary_labels=labels, seed=1)
        case "plain":
            return PlainLoaders(validate=True)
        case "plain_without_validation":
            return PlainLoaders(validate=False)


CASES = [
    ("single", "ours", {}),
    ("multi", "ours", {}),
    ("maxl", "ours", {}),
    ("maxl", "plain", {}),
    ("maxl", "plain_without_validation", {}),
    ("single", "plain", {}),
    ("maxl", "ours", {"update": "alternating"}),
    ("maxl", "plain", {"update": "alternating"}),
    ("maxl", "ours", {"meta_every_n_steps": 2, "accumulate_grad_batches": 2}),
]


@pytest.mark.parametrize(
    ("method", "kind", "options"), CASES, ids=[f"{m}-{k}-{'-'.join(map(str, o))}" for m, k, o in CASES]
)
@pytest.mark.parametrize("which", ["best", "last"])
def test_resumed_run_equals_uninterrupted_run(tmp_path, method, kind, options, which):
    pair = 2 if options.get("update") == "alternating" else 1
    flags = {"check_val_every_n_epoch": pair, "enable_checkpointing": True, "default_root_dir": tmp_path}

    def run(epochs, ckpt_path=None, seed=3):
        seed_everything(seed)
        checkpoint = ModelCheckpoint(tmp_path / str(seed), save_top_k=-1, save_last=True)
        made = module(method, **options)
        dm = loaders(kind, method)
        if kind == "plain_without_validation":
            flags["limit_val_batches"] = 0
        return made, fit_with(made, dm, epochs, [checkpoint], ckpt_path, flags), checkpoint

    whole, first, _ = run(3 * pair)
    _, _, checkpoint = run(pair)
    path = checkpoint.last_model_path if which == "last" else checkpoint.best_model_path
    resumed, again, _ = run(3 * pair, path, seed=4)  # another seed: only the checkpoint may matter
    assert again.global_step == first.global_step
    assert_same(state(whole), state(resumed))
    for a, b in zip(first.optimizers, again.optimizers, strict=True):
        assert a.param_groups[0]["lr"] == b.param_groups[0]["lr"]


@pytest.mark.parametrize("update", ["interleaved", "alternating"])
def test_resuming_in_mid_epoch_with_our_loaders(tmp_path, update):
    """Six batches an epoch, resumed after the ninth; dropout and two more epoch starts follow."""
    flags = {"check_val_every_n_epoch": 2, "enable_checkpointing": True, "default_root_dir": tmp_path}

    def run(callbacks, ckpt_path=None):
        made = module("maxl", update=update)
        fit_with(made, DigitsDataModule(num_train=48, batch_size=8, seed=1), 4, callbacks, ckpt_path, flags)
        return made

    seed_everything(3)
    whole = run([ModelCheckpoint(tmp_path, filename="{step}", every_n_train_steps=9, save_top_k=-1)])
    seed_everything(4)
    assert_same(state(whole), state(run([], tmp_path / "step=9.ckpt")))


def fit_with(made, dm, epochs, callbacks, ckpt_path, flags):
    made_trainer = trainer(epochs, callbacks, **flags)
    made_trainer.fit(made, datamodule=dm, ckpt_path=ckpt_path)
    return made_trainer


def saved(tmp_path, made):
    path = tmp_path / "a.ckpt"
    fit(made, data(dtype=torch.float32), 1).save_checkpoint(path)
    return path


def test_checkpoint_loads_with_weights_only(tmp_path):
    made = maxl("smooth", dtype=torch.float32)
    path = saved(tmp_path, made)
    checkpoint = torch.load(path, weights_only=True)
    assert checkpoint["psi"] == list(cases.PSI)
    assert checkpoint["hypergradient"] == {"active": "forward", "reason": None}
    assert "entropy_weight" in checkpoint["hyper_parameters"]
    network, generator, _ = cases.networks("smooth", dtype=torch.float32, seed=9)
    loaded = MAXLModule.load_from_checkpoint(path, network=network, label_generator=generator)
    assert_same(state(loaded), state(made))


@pytest.mark.parametrize("psi", [(1, 3, 2), (2, 2, 2)])
def test_checkpoint_of_another_hierarchy_is_refused(tmp_path, psi):
    """Σψ is the same, so that every weight would fit."""
    path = saved(tmp_path, maxl("smooth", dtype=torch.float32))
    with pytest.raises(MisconfigurationException, match=r"psi=\[3, 1, 2\].*psi=\["):
        fit(maxl("smooth", dtype=torch.float32, psi=psi), data(dtype=torch.float32), 2, ckpt_path=path)
    network, generator, _ = cases.networks("smooth", dtype=torch.float32, psi=psi)
    with pytest.raises(MisconfigurationException, match="train anew"):
        MAXLModule.load_from_checkpoint(path, network=network, label_generator=generator)


def test_given_labels_of_another_hierarchy_are_refused(tmp_path):
    def made(psi):
        return MultiTaskModule(cases.networks("smooth", dtype=torch.float32, psi=psi)[0], lr_scheduler=None)

    loader = data(dtype=torch.float32, auxiliary=True)
    fit(made(cases.PSI), loader, 1).save_checkpoint(tmp_path / "a.ckpt")
    with pytest.raises(MisconfigurationException, match=r"psi=\[3, 1, 2\].*psi=\[1, 3, 2\]"):
        fit(made((1, 3, 2)), loader, 2, ckpt_path=tmp_path / "a.ckpt")


def test_fall_back_is_kept_in_the_checkpoint(tmp_path):
    made = maxl("smooth", dtype=torch.float32)
    made.network.trunk = torch.nn.Sequential(
        made.network.trunk, torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(8, 8))
    )
    with pytest.warns(UserWarning, match="falling back to double_backward"):
        path = saved(tmp_path, made)
    again = copy.deepcopy(made)
    again.estimator = type(made.estimator)()
    fit(again, data(dtype=torch.float32), 1, ckpt_path=path)
    assert again.estimator.active == "double_backward"
    assert "forward AD" in again.estimator.reason


def test_validating_does_not_restore_random_numbers(tmp_path):
    made = maxl("smooth", dtype=torch.float32)
    path = saved(tmp_path, made)
    loader = data(dtype=torch.float32, generator=torch.Generator())
    torch.manual_seed(5)
    before = torch.get_rng_state()
    trainer().validate(made, loader, ckpt_path=path, verbose=False)
    MAXLModule.load_from_checkpoint(path, network=made.network, label_generator=made.label_generator)
    assert torch.equal(torch.get_rng_state(), before)
