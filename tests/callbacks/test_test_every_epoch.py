"""The test after every epoch measures what Trainer.test does, and training does not notice."""

import random

import cases
import numpy as np
import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningDataModule, LightningModule
from lightning.pytorch.loggers import CSVLogger
from ranks import run_ranks
from training import assert_same, data, fit, maxl, state, trainer

from maxl_lightning.callbacks import TestEveryEpoch
from maxl_lightning.modules.random_state import collect_random_state


class Restless(cases.DropoutTrunk):
    """Counts its calls in a buffer and draws random numbers, in evaluation mode too; has statistics and dropout."""

    def __init__(self):
        super().__init__()
        self.net.insert(1, torch.nn.BatchNorm2d(6))
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        return super().forward(x + 1e-3 * torch.randn_like(x) + 1e-3 * random.random() + 1e-3 * np.random.rand())  # noqa: NPY002


@pytest.fixture
def restless(monkeypatch):
    monkeypatch.setitem(cases.TRUNKS, "restless", (Restless, 8))
    return lambda **options: maxl("restless", **options)


def unseeded(n=9):
    """Test images whose loader draws its order from the random numbers that training uses."""
    return data(n=n, batch_size=4, seed=5, shuffle=True)


class Watch(Callback):
    """Keeps train flags, gradients and random numbers at the beginning of every epoch."""

    def __init__(self):
        self.seen = []

    def on_train_epoch_start(self, trainer, pl_module):
        flags = [part.training for part in pl_module.modules()]
        gradients = [parameter.grad for parameter in pl_module.parameters()]
        self.seen.append((flags, gradients, collect_random_state()))


class Accuracies(Callback):
    """Keeps what was logged for each epoch, and what a plain loop finds at its end."""

    def __init__(self, loader):
        self.loader = loader
        self.logged, self.expected = {}, {}

    def on_train_epoch_end(self, trainer, pl_module):
        pl_module.eval()
        with torch.no_grad():
            right = torch.cat([pl_module(x).argmax(1) == y for x, y in self.loader])
        pl_module.train()
        self.expected[trainer.current_epoch] = float(right.double().mean())

    def on_train_epoch_start(self, trainer, pl_module):
        self.keep(trainer, trainer.current_epoch - 1)

    def on_train_end(self, trainer, pl_module):
        self.keep(trainer, trainer.current_epoch - 1)

    def keep(self, trainer, epoch):
        if "test/accuracy" in trainer.callback_metrics:
            self.logged[epoch] = float(trainer.callback_metrics["test/accuracy"])


@pytest.mark.parametrize("update", ["interleaved", "alternating"])
def test_training_does_not_notice(restless, update):
    """Weights, buffers, gradients, train flags and random numbers, bit for bit."""
    ends = []
    for extra in ([], [TestEveryEpoch(unseeded())]):
        watch, module = Watch(), restless(update=update)
        module.network.trunk.net[1].eval()  # statistics that the user has frozen stay so
        torch.manual_seed(1)
        random.seed(1)
        np.random.seed(1)  # noqa: NPY002
        fit(module, data(shuffle=True), 4, callbacks=[watch, *extra])
        ends.append((state(module), watch.seen))
    (without, seen_without), (with_it, seen_with) = ends
    assert_same(without, with_it)
    assert without["0.network.trunk.calls"] > 0
    for (flags, gradients, numbers), (other_flags, other_gradients, other_numbers) in zip(
        seen_without, seen_with, strict=True
    ):
        assert flags == other_flags
        assert gradients == other_gradients
        assert torch.equal(numbers["torch"], other_numbers["torch"])
        assert torch.equal(numbers["numpy"][0], other_numbers["numpy"][0])
        assert numbers["python"] == other_numbers["python"]
    frozen = [name for name, _ in module.named_modules()].index("network.trunk.net.1")
    assert not any(flags[frozen] for flags, _, _ in seen_with)


def test_it_logs_what_a_plain_loop_finds():
    loader = data(n=40, batch_size=16, seed=5)
    accuracies, module = Accuracies(loader), maxl()
    fit(module, data(n=24), 5, callbacks=[TestEveryEpoch(loader), accuracies])
    assert len(accuracies.expected) == 5
    assert accuracies.logged == pytest.approx(accuracies.expected)
    assert len(set(accuracies.expected.values())) > 1
    (tested,) = trainer().test(module, loader, verbose=False)
    assert tested["test/accuracy"] == pytest.approx(accuracies.logged[4])


@pytest.mark.parametrize("val", [True, False])
def test_it_keeps_the_pace_of_validation_and_needs_none(tmp_path, val):
    logger = CSVLogger(tmp_path, name="", version="", flush_logs_every_n_steps=1)
    fit(
        maxl(update="alternating"), data(), 4, val=data(seed=3) if val else None, logger=logger,
        callbacks=[TestEveryEpoch(unseeded())], check_val_every_n_epoch=2,
    )  # fmt: skip
    import pandas as pd

    rows = pd.read_csv(tmp_path / "metrics.csv").dropna(subset=["test/accuracy"])
    assert rows["epoch"].tolist() == [1, 3]
    assert rows["train/accuracy"].notna().all()


class Data(LightningDataModule):
    def __init__(self):
        super().__init__()
        self.stages = []

    def setup(self, stage):
        self.stages.append(stage)

    def train_dataloader(self):
        return data()

    def test_dataloader(self):
        return data(n=40, batch_size=10, seed=5)


@pytest.mark.parametrize(("limit", "images"), [(1.0, 40), (3, 30), (0.5, 20)])
def test_the_data_modules_images_are_read_once_and_as_many_as_the_trainer_allows(limit, images, monkeypatch):
    datamodule, module, shown = Data(), maxl(), []
    monkeypatch.setattr(module, "forward", lambda x: shown.append(len(x)) or torch.zeros(len(x), 3))
    trainer(3, [TestEveryEpoch()], limit_test_batches=limit).fit(module, datamodule=datamodule)
    assert sum(shown) == 3 * images
    assert datamodule.stages == ["fit", "test"]


def test_a_callback_used_twice_tests_the_second_ones_images():
    callback = TestEveryEpoch()
    for _ in range(2):
        datamodule = Data()
        trainer(1, [callback]).fit(maxl(), datamodule=datamodule)
        assert datamodule.stages == ["fit", "test"]


def test_without_test_images_it_says_so_before_training():
    with pytest.raises(MisconfigurationException, match=r"no test images.*test_dataloader.*TestEveryEpoch\(loader=…\)"):
        fit(maxl(), data(), callbacks=[TestEveryEpoch()])


def test_no_batch_to_test_on_is_refused():
    """Rather than logged as an accuracy of zero."""
    with pytest.raises(MisconfigurationException, match=r"nothing to test with Trainer\(limit_test_batches=0\)"):
        trainer(1, [TestEveryEpoch()], limit_test_batches=0).fit(maxl(), datamodule=Data())


def test_other_modules_are_refused():
    class Theirs(LightningModule):
        def training_step(self, batch):
            raise RuntimeError("trained")

        def configure_optimizers(self):
            return torch.optim.SGD([torch.nn.Parameter(torch.zeros(()))])

    with pytest.raises(MisconfigurationException, match=r"not Theirs: remove the callback"):
        fit(Theirs(), data(), callbacks=[TestEveryEpoch(data())])


SCRIPT = """
import sys, torch
from torch.utils.data import DataLoader, DistributedSampler
from ranks import run_ranks
from training import data, fit, maxl
from maxl_lightning.callbacks import LastCheckpoint, TestEveryEpoch

out = sys.argv[1]
callbacks = [TestEveryEpoch(data(n=90, batch_size=20, seed=5)), LastCheckpoint(out)]
options = {"strategy": "ddp", "devices": 2, "enable_checkpointing": True}
trainer = fit(maxl("convnet4"), data(n=24), 3, callbacks=callbacks, **options)
torch.save(trainer.callback_metrics["test/accuracy"], f"{out}/{trainer.global_rank}.pt")
"""


@pytest.mark.slow
def test_two_processes_log_the_number_of_the_checkpoint(tmp_path):
    """Batch statistics differ between the two gloo ranks; the first one's are saved, and so it is the one tested."""
    run_ranks(tmp_path, SCRIPT, str(tmp_path))
    module = maxl("convnet4")
    module.load_state_dict(torch.load(tmp_path / "last.ckpt", weights_only=True)["state_dict"])
    (tested,) = trainer().test(module, data(n=90, batch_size=20, seed=5), verbose=False)
    for rank in (0, 1):
        logged = torch.load(tmp_path / f"{rank}.pt")
        assert float(logged) == pytest.approx(tested["test/accuracy"])
