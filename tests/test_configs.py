"""The configurations that are shipped: each is complete, says the truth about itself, and trains."""

import os
import re
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from tiny_data import WRITERS
from tiny_folders import FOLDER_WRITERS, folder_options
from torch.optim import SGD
from torch.optim.lr_scheduler import StepLR

from maxl_lightning import CIFAR100DataModule, MAXLModule, MultiTaskModule, SingleTaskModule
from maxl_lightning.cli import main
from maxl_lightning.networks import VGG16, ConvNet4, ResNet32

ROOT = Path(__file__).parents[1]
CONFIGS = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("configs/*/*.yaml"))
CIFAR = [name for name in CONFIGS if name.startswith("configs/cifar100/")]
METHODS = {"single": SingleTaskModule, "uniform": MultiTaskModule, "frozen": MAXLModule, "maxl": MAXLModule}
QUIET = ["--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false"]


pytestmark = pytest.mark.usefixtures("frozen_garbage", "own_arguments")


def few(train, evaluated):
    """Limit the batches by their shares: if scikit-learn is imported before Lightning, the number 1 means all.

    typing then takes Lightning's Union[int, float] for the Union[float, int] it has seen, and 1 is read as 1.0.
    """
    limits = {"train": train, "val": evaluated, "test": evaluated}
    return [f"--trainer.limit_{stage}_batches={share}" for stage, share in limits.items()]


@cache
def made(name):
    data = Path(name).parent.name
    # the classes of a folder are known from the folder alone
    options = folder_options(data, Path(written(data).name)) if data in FOLDER_WRITERS else []
    return main(["--config", str(ROOT / name), *QUIET, *options], run=False)


@cache
def written(data):
    """Write tiny data into a folder that is there until all tests have run."""
    folder = TemporaryDirectory()
    FOLDER_WRITERS[data](Path(folder.name))
    return folder


def trained(name, *arguments):
    """Fit for two epochs unless told otherwise, and return the command line and the folder of the checkpoints."""
    arguments = [*QUIET, "--trainer.max_epochs=2", "--trainer.log_every_n_steps=1", *arguments]
    cli = main(["fit", "--config", str(ROOT / name), *arguments])
    assert "test/accuracy" in cli.trainer.callback_metrics
    return cli, Path(cli.trainer.log_dir, "checkpoints")


def test_the_methods_are_there_for_each_data_set():
    for data in ("digits", "cifar100"):
        assert {f"configs/{data}/{method}.yaml" for method in METHODS} <= set(CONFIGS)
    for data in [*WRITERS, *FOLDER_WRITERS]:
        assert {f"configs/{data}/{method}.yaml" for method in ("single", "maxl")} <= set(CONFIGS)
    assert "configs/cifar100/maxl_paper.yaml" in CONFIGS


@pytest.mark.parametrize("name", CONFIGS)
def test_a_comment_says_what_it_is_and_how_to_run_it(name):
    comments = []
    for line in (ROOT / name).read_text().splitlines():
        if not line.startswith("#"):
            break
        comments.append(line)
    assert re.match(r"# \w+", comments[0])
    commands = [line for line in comments if line.startswith("#   maxl ")]
    assert commands
    for command in commands:
        words = command.removeprefix("#   ").split()
        assert words[:3] == ["maxl", "fit", "--config"]
        assert words[3] == name


@pytest.mark.parametrize("name", CONFIGS)
def test_it_is_complete_by_itself(name):
    cli = made(name)
    assert cli.config.seed_everything == 0
    assert type(cli.model) is METHODS.get(Path(name).stem, type(cli.model))
    assert cli.model.num_classes == cli.datamodule.num_classes
    assert getattr(cli.model, "psi", cli.datamodule.psi) == cli.datamodule.psi
    (logger,) = cli.trainer.loggers
    assert type(logger).__name__ == "CSVLogger"
    assert (logger.save_dir, logger.name) == ("runs", name.removeprefix("configs/").removesuffix(".yaml"))
    assert (Path(name).stem == "frozen") == (getattr(cli.model, "meta_optimizer", "none") is None)
    assert (cli.datamodule.auxiliary_labels is not None) == isinstance(cli.model, MultiTaskModule)


@pytest.mark.parametrize("data", ["digits", "cifar100"])
def test_methods_start_from_the_same_weights(data):
    """With one seed, whether a method has a generator that draws random numbers too, or an auxiliary head."""
    networks = {n: made(n).model.network.state_dict() for n in CONFIGS if n.startswith(f"configs/{data}/")}
    reference = networks[f"configs/{data}/maxl.yaml"]
    assert all(parameters.keys() <= reference.keys() for parameters in networks.values())
    assert all(torch.equal(value, reference[name]) for n in networks.values() for name, value in n.items())
    assert any(name.startswith("primary_head") for name in networks[f"configs/{data}/single.yaml"])


def check_optimizer(entry, weight_decay, lr):
    optimizer, scheduler = entry["optimizer"], entry["lr_scheduler"]["scheduler"]
    assert type(optimizer) is SGD
    (group,) = optimizer.param_groups
    assert {k: group[k] for k in ("lr", "momentum", "weight_decay", "nesterov", "dampening")} == {
        "lr": lr, "momentum": 0, "weight_decay": weight_decay, "nesterov": False, "dampening": 0,
    }  # fmt: skip
    assert type(scheduler) is StepLR
    assert (scheduler.step_size, scheduler.gamma) == (50, 0.5)
    assert entry["lr_scheduler"]["interval"] == "epoch"


TABLE_1 = {
    "cifar10": (VGG16, 5), "cinic10": (ResNet32, 5), "fashion_mnist": (ConvNet4, 3), "imagenet": (VGG16, 5),
    "mnist": (ConvNet4, 3), "svhn": (ConvNet4, 5), "ucf101": (ResNet32, 3),
}  # fmt: skip
"""The paper's trunk, and its best ψ of Table 1; FashionMNIST, which is not there, has MNIST's."""


@pytest.mark.parametrize("data", TABLE_1)
def test_the_papers_settings_arrive_for_the_other_data_sets_too(data):
    trunk, psi = TABLE_1[data]
    for method, rates in (("single", [(0, 0.01)]), ("maxl", [(0, 0.01), (5e-4, 1e-3)])):
        cli = made(f"configs/{data}/{method}.yaml")
        assert (cli.trainer.max_epochs, cli.datamodule.batch_size, cli.datamodule.val_fraction) == (200, 100, 0.1)
        assert cli.datamodule.psi == ((psi,) * cli.model.num_classes if method == "maxl" else None)
        assert getattr(cli.datamodule, "image_size", 32) == 32
        for network in (cli.model.network, cli.model.label_generator) if method == "maxl" else (cli.model.network,):
            assert type(network.trunk) is trunk
            assert next(network.trunk.parameters()).shape[1] == len(cli.datamodule.mean)
        for entry, rate in zip(cli.model.configure_optimizers(), rates, strict=True):
            check_optimizer(entry, *rate)


def size(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("name", CIFAR)
def test_the_papers_settings_arrive(name):
    cli = made(name)
    module, data, trainer = cli.model, cli.datamodule, cli.trainer
    assert isinstance(data, CIFAR100DataModule)
    assert (data.num_classes, data.psi, data.batch_size) == (20, (5,) * 20, 100)
    assert isinstance(module.network.trunk, VGG16)
    assert module.focal_gamma == 2
    assert module.accumulate_grad_batches == 1
    assert module.gradient_clip_val is None
    network, *generator = module.configure_optimizers()
    check_optimizer(network, weight_decay=0, lr=0.01)
    assert trainer.max_epochs == (400 if Path(name).stem == "maxl_paper" else 200)
    if isinstance(module, SingleTaskModule):
        assert size(module) == 15_310_008 - 512 * 512 - 512 - 512 * 100 - 100
        return
    assert size(module.network) == 15_310_008
    assert module.auxiliary_weight == 1
    if isinstance(module, MAXLModule):
        assert isinstance(module.label_generator.trunk, VGG16)
        assert size(module.label_generator) == 15_037_092
        assert module.entropy_weight == 0.2
        assert module.hypergradient_method == "auto"
        assert module.meta_every_n_steps == 1
    for entry in generator:
        check_optimizer(entry, weight_decay=5e-4, lr=1e-3)
    assert len(generator) == (Path(name).stem in ("maxl", "maxl_paper", "no_lookahead"))


def test_the_authors_order_is_theirs():
    cli = made("configs/cifar100/maxl_paper.yaml")
    assert (cli.model.update, cli.model.lookahead) == ("alternating", "sgd")
    assert (cli.datamodule.val_fraction, cli.datamodule.num_train) == (0, None)
    assert cli.trainer.check_val_every_n_epoch == 2
    interleaved = made("configs/cifar100/maxl.yaml")
    assert (interleaved.model.update, interleaved.model.lookahead) == ("interleaved", "optimizer")
    assert interleaved.datamodule.val_fraction == 0.1


def check_checkpoints(cli, folder):
    """The last epoch is kept under that name, and beside it the best one, if there is something to choose by."""
    last = torch.load(folder / "last.ckpt", weights_only=True)
    assert last["epoch"] == cli.trainer.max_epochs - 1
    best = cli.trainer.checkpoint_callback
    if cli.datamodule.val_fraction > 0:
        assert (best.monitor, best.mode) == ("val/accuracy", "max")
        assert Path(best.best_model_path).parent == folder
        # save_last of a checkpoint that is monitored keeps the epoch of the last improvement
        assert any(c.monitor is None for c in cli.trainer.checkpoint_callbacks)
    assert all(isinstance(tensor, torch.Tensor) for tensor in last["state_dict"].values())


def one_batch(data):
    """Return options that make a batch of four of a set of tiny data, and an epoch of one batch."""
    shares = {"cifar100": (0.015, 0.04), "cinic10": (0.1, 0.2), "imagenette": (0.06, 0.2)}  # the others have 180 images
    shares |= dict.fromkeys(("image_folder", "imagenet", "tiny_imagenet", "ucf101"), (0.2, 0.5))  # some 20
    return ["--data.batch_size=4", "--data.num_workers=0", *few(*shares.get(data, (0.03, 0.2)))]


@pytest.mark.parametrize("name", CONFIGS)
def test_it_trains(name, tmp_path, monkeypatch):
    """On tiny data in the layout of the true files; the digits are there anyway."""
    small = "cifar100_small" in name
    data = "cifar100" if small else Path(name).parent.name
    if data not in WRITERS | FOLDER_WRITERS:
        check_checkpoints(*trained(name))
        return
    (WRITERS | FOLDER_WRITERS)[data](tmp_path / "data", monkeypatch)
    epochs = 2 if "paper" in name else 1  # the authors' order has two passes
    options = [*folder_options(data, tmp_path / "data"), f"--trainer.max_epochs={epochs}", *one_batch(data)]
    if (data == "cifar100" and "paper" not in name) or data in FOLDER_WRITERS:
        options.append("--data.val_fraction=0.25")  # an image of each of the 100 classes, or of a few images
    if data in FOLDER_WRITERS:
        options.append("--data.image_size=32")
    if small:
        options += ["--data.num_train=null", "--data.eval_batch_size=4"]
    cli, folder = trained(name, *options)
    check_checkpoints(cli, folder)
    assert cli.trainer.global_step == epochs


@pytest.mark.slow
@pytest.mark.parametrize("name", CIFAR)
def test_it_trains_on_cifar(name):
    root = os.environ.get("MAXL_DATA_DIR")
    if root is None or not Path(root, "cifar-100-python").is_dir():
        pytest.skip("MAXL_DATA_DIR names no folder with cifar-100-python")
    cli, folder = trained(name, "--data.num_workers=0", *few(0.003, 0.02))
    check_checkpoints(cli, folder)
    assert cli.trainer.global_step == 2
    assert len(cli.datamodule.train_set) == (50_000 if "paper" in name else 45_000)
    assert len(cli.datamodule.test_set) == 10_000
