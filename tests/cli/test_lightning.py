"""The command line, run in this process, with three short runs of the true commands."""

import csv
import math
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from command_line import MODELS, config
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningDataModule, Trainer
from torch.utils.data import DataLoader, TensorDataset

from maxl_lightning import (
    Classifier,
    ConvNet4,
    DigitsDataModule,
    LabelGenerator,
    MAXLModule,
    MultiTaskModule,
    MultiTaskNetwork,
    SingleTaskModule,
)
from maxl_lightning.cli import main
from maxl_lightning.datasets import HierarchicalCIFAR100


class Theirs(LightningDataModule):
    """A data module that knows nothing of this package: three classes, and no attributes that say so."""

    def train_dataloader(self):
        images = torch.randn(12, 1, 8, 8, generator=torch.Generator().manual_seed(0))
        return DataLoader(TensorDataset(images, torch.arange(12) % 3), batch_size=6)

    val_dataloader = train_dataloader


class TheirsWithClasses(Theirs):
    num_classes = 3


pytestmark = pytest.mark.usefixtures("frozen_garbage", "own_arguments")


@pytest.fixture(autouse=True, scope="module")
def commands(tmp_path_factory):
    """Start the commands that a user types now, and read them at the end: each takes seconds to import Lightning."""
    folder = tmp_path_factory.mktemp("commands")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    # the limit is a number of batches and not a share, which it can be taken for: see test_configs
    fit = ["fit", "--config", config(folder), "--trainer.limit_train_batches=1"]
    lines = {
        "help": [sys.executable, "-m", "maxl_lightning", "--help"],
        "fit": [Path(sys.executable).with_name("maxl"), *fit],
    }
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "cwd": folder, "env": environment}
    started = {name: subprocess.Popen(line, **options) for name, line in lines.items()}
    yield started
    for process in started.values():
        process.kill()
        process.communicate()


@pytest.fixture
def file(tmp_path):
    return config(tmp_path)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A finished run of each module class."""
    runs = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["maxl"])
        for module in MODELS:
            path = config(tmp_path_factory.mktemp("fitted"), module)
            cli = main(["fit", "--config", path])
            folder = Path(cli.trainer.log_dir)
            checkpoints = folder / "checkpoints"
            (best,) = checkpoints.glob("epoch=*.ckpt")
            runs[module] = SimpleNamespace(
                cli=cli, config=path, folder=folder, best=str(best), last=str(checkpoints / "last.ckpt")
            )
    return runs


@pytest.fixture
def run(fitted):
    return fitted[MAXLModule]


def refused(capsys, *arguments, run=False):
    """Return the message with which the command line refuses arguments."""
    with pytest.raises((SystemExit, Exception)) as caught:
        main([*arguments], run=run)
    if isinstance(caught.value, SystemExit):
        assert caught.value.code != 0
        return capsys.readouterr().err.rpartition("error: ")[2]
    return str(caught.value)


def weights(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items() if "accuracy" not in name}


def saved(path):
    return torch.load(path, weights_only=True)["state_dict"]


def same(a, b):
    assert a.keys() == b.keys()
    return all(torch.equal(a[name], b[name]) for name in a)


# fit, test, validate, predict


def test_best_and_last_checkpoints_are_kept(run):
    """Lightning's save_last would keep the epoch of the last improvement under that name."""
    best, last = (torch.load(path, weights_only=True) for path in (run.best, run.last))
    assert (last["epoch"], last["global_step"]) == (1, 4)
    assert f"epoch={best['epoch']}-" in run.best
    (state,) = [state for key, state in last["callbacks"].items() if "val/accuracy" in key]
    with open(run.folder / "metrics.csv") as stream:
        accuracies = [float(row["val/accuracy"]) for row in csv.DictReader(stream) if row["val/accuracy"]]
    assert float(state["best_model_score"]) == pytest.approx(max(accuracies))
    assert best["epoch"] == accuracies.index(max(accuracies))


def test_metrics_are_logged_under_their_names(run):
    with open(run.folder / "metrics.csv") as stream:
        rows = list(csv.DictReader(stream))
    values = {name: [float(row[name]) for row in rows if row[name]] for name in rows[0]}
    each_step = (
        "train/primary_loss", "train/auxiliary_loss", "train/meta_loss", "train/label_entropy",
        "train/image_label_entropy", "train/label_confidence", "train/auxiliary_classes_in_use",
        "train/gradient_norm", "train/meta_gradient_norm", "train/learning_rate", "train/meta_learning_rate",
    )  # fmt: skip
    each_epoch = ("train/accuracy", "val/accuracy", "val/primary_loss")
    for names, count in ((each_step, 4), (each_epoch, 2), (("test/accuracy", "test/primary_loss"), 1)):
        for name in names:
            assert len(values[name]) == count, name
            assert all(map(math.isfinite, values[name])), name
    assert values["train/learning_rate"] == pytest.approx([0.01] * 4)
    assert values["train/meta_learning_rate"] == pytest.approx([0.001] * 4)
    assert all(0 < entropy <= math.log(10) + 1e-5 for entropy in values["train/label_entropy"])
    assert all(0 < entropy <= math.log(5) + 1e-5 for entropy in values["train/image_label_entropy"])
    assert all(1 <= number <= 10 for number in values["train/auxiliary_classes_in_use"])


def test_fit_ends_with_the_best_checkpoints_accuracy(run):
    reported = float(run.cli.trainer.callback_metrics["test/accuracy"])
    tested = main(["test", "--config", run.config, "--ckpt_path", run.best])
    assert float(tested.trainer.callback_metrics["test/accuracy"]) == pytest.approx(reported)
    assert tested.trainer.log_dir != str(run.folder)


def test_validate_finds_the_score_that_the_checkpoint_was_chosen_by(run):
    score = float(run.cli.trainer.checkpoint_callback.best_model_score)
    validated = main(["validate", "--config", run.config, "--ckpt_path", run.best])
    assert float(validated.trainer.callback_metrics["val/accuracy"]) == pytest.approx(score)


def test_predict_writes_what_test_measures(run):
    predicted = main(["predict", "--config", run.config, "--ckpt_path", run.best, "--data.eval_batch_size=300"])
    batches = torch.load(Path(predicted.trainer.log_dir, "predictions.pt"), weights_only=True)
    assert [len(batch["probabilities"]) for batch in batches] == [300, 297]
    y = predicted.datamodule.test_set.targets
    accuracy = (torch.cat([b["probabilities"] for b in batches]).argmax(1) == y).double().mean()
    assert float(run.cli.trainer.callback_metrics["test/accuracy"]) == pytest.approx(float(accuracy))
    labels = torch.cat([b["auxiliary_labels"] for b in batches])
    assert labels.shape == (597, 10)
    assert not labels[y == 0][:, 5:].any()


def test_a_run_that_ends_at_once_has_no_need_of_a_checkpoint(file):
    cli = main(["fit", "--config", file, "--trainer.fast_dev_run=true"])
    assert "test/accuracy" in cli.trainer.callback_metrics


def test_without_a_monitor_the_last_weights_are_tested(tmp_path):
    """One checkpoint, after the second of three epochs: Lightning by itself would load and test that one."""
    checkpoint = {"class_path": "ModelCheckpoint", "init_args": {"every_n_epochs": 2}}
    cli = main(["fit", "--config", config(tmp_path, callbacks=[checkpoint], max_epochs=3)])
    kept = torch.load(cli.trainer.checkpoint_callback.best_model_path, weights_only=True)
    assert kept["epoch"] == 1
    assert "test/accuracy" in cli.trainer.callback_metrics
    assert not torch.equal(
        kept["state_dict"]["network.primary_head.0.weight"], cli.model.network.primary_head[0].weight
    )


# Configurations


@pytest.mark.parametrize("module", MODELS)
def test_a_printed_configuration_is_a_working_one(module, tmp_path, capsys):
    path = config(tmp_path, module)
    with pytest.raises(SystemExit) as caught:
        main(["fit", "--config", path, "--data.psi=3", "--print_config"])
    assert caught.value.code == 0
    Path("printed.yaml").write_text(capsys.readouterr().out)
    cli = main(["--config", "printed.yaml"], run=False)
    assert type(cli.model) is module
    assert cli.datamodule.psi == (3, 3)
    assert getattr(cli.model, "psi", (3, 3)) == (3, 3)


def test_bare_class_names_will_do_for_everything():
    arguments = [
        "--model=MAXLModule", "--model.network=MultiTaskNetwork", "--model.network.trunk=ResNet32",
        "--model.label_generator=LabelGenerator", "--model.label_generator.trunk=VGG16",
        "--model.optimizer=AdamW", "--model.optimizer.lr=0.5", "--model.lr_scheduler=CosineAnnealingLR",
        "--model.lr_scheduler.T_max=7", "--model.meta_optimizer=Adam", "--data=CIFAR100DataModule",
        "--data.auxiliary_labels=UniformLabels", "--trainer.accelerator=cpu", "--trainer.logger=CSVLogger",
        "--trainer.logger.save_dir=.", "--trainer.callbacks+=ModelCheckpoint",
        "--trainer.callbacks.monitor=val/accuracy",
    ]  # fmt: skip
    cli = main(arguments, run=False)
    assert [type(part).__name__ for part in (cli.model, cli.model.network.trunk, cli.model.label_generator.trunk)] == [
        "MAXLModule", "ResNet32", "VGG16",
    ]  # fmt: skip
    first, second = cli.model.configure_optimizers()
    assert type(first["optimizer"]).__name__ == "AdamW"
    assert first["optimizer"].param_groups[0]["lr"] == 0.5
    assert first["lr_scheduler"]["scheduler"].T_max == 7
    assert type(second["optimizer"]).__name__ == "Adam"
    assert cli.trainer.checkpoint_callback.monitor == "val/accuracy"


def test_csv_is_the_default_logger():
    cli = main(["--model=SingleTaskModule", "--model.network=Classifier", "--model.network.trunk=VGG16",
                "--data=CIFAR100DataModule", "--trainer.accelerator=cpu"], run=False)  # fmt: skip
    (logger,) = cli.trainer.loggers
    assert type(logger).__name__ == "CSVLogger"
    assert logger.save_dir == "runs"


# What flows from the data to the model


@pytest.mark.parametrize(("given", "psi"), [("3", (3, 3)), ("[2,7]", (2, 7)), ("null", (5, 5))])
def test_psi_and_classes_reach_model_and_networks(file, given, psi):
    cli = main(["--config", file, f"--data.psi={given}"], run=False)
    for part in (cli.datamodule, cli.model, cli.model.network, cli.model.label_generator):
        assert (part.num_classes, part.psi) == (2, psi)
    assert cli.model.network(torch.randn(3, 1, 8, 8))[1].shape == (3, sum(psi))


def test_another_task_has_other_classes(file):
    cli = main(["--config", file, "--data.task=digit", "--data.psi=2"], run=False)
    for part in (cli.datamodule, cli.model, cli.model.network, cli.model.label_generator):
        assert (part.num_classes, part.psi) == (10, (2,) * 10)


@pytest.mark.parametrize("psi", ["5", "[5,5]"])
def test_saying_to_the_model_what_the_data_says_is_no_mistake(file, psi):
    cli = main(["--config", file, "--model.num_classes=2", f"--model.psi={psi}"], run=False)
    assert (cli.model.num_classes, cli.model.psi) == (2, (5, 5))


@pytest.mark.parametrize("given", ["psi=[5,4]", "num_classes=3"])
def test_contradicting_the_data_is_refused(file, given, capsys):
    name = given.partition("=")[0]
    message = refused(capsys, "--config", file, f"--model.{given}")
    assert f"model.{name}=" in message
    assert f"contradicts the data, which has {name}=" in message
    assert f"set data.{name} instead" in message


def test_other_peoples_data_train_with_classes_given_to_the_model(file):
    cli = main(
        ["fit", "--config", file, "--data=test_lightning.Theirs", "--model.num_classes=3", "--model.psi=[3,1,2]"]
    )
    assert (cli.model.num_classes, cli.model.psi, cli.model.network.psi) == (3, (3, 1, 2), (3, 1, 2))
    assert cli.trainer.global_step == 4
    assert "test/accuracy" not in cli.trainer.callback_metrics  # they have no test images, and fit minds not


def test_what_other_peoples_data_do_say_is_used(file):
    cli = main(["--config", file, "--data=test_lightning.TheirsWithClasses", "--model.psi=2"], run=False)
    assert (cli.model.num_classes, cli.model.psi) == (3, (2, 2, 2))


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        (["--data=test_lightning.Theirs"], "num_classes"),
        (["--data=test_lightning.Theirs", "--model.num_classes=3"], "psi"),
        (["--data.task=digit"], "psi"),
    ],
)
def test_what_nobody_says_is_asked_for(file, arguments, missing, capsys):
    message = refused(capsys, "--config", file, *arguments)
    assert message.startswith(f"{missing} is not known: ")
    assert f"set data.{missing}, or model.{missing}" in message


# Mistakes: each is refused with a message that says what to change


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data.psi=[2,3,4]"], ["psi has 3 entries but there are 2 primary classes", "or a single number for all"]),
        (["--data.psi=0"], ["psi[0] is 0", "positive whole number"]),
        (["--data.psi=[2,-1]"], ["psi[1] is -1", "positive whole number"]),
        (["--data.psi=many"], ['"psi"', "Expected a <class 'int'>"]),
        (
            ["--model.hypergradient_method", "magic"],
            ["hypergradient_method", "'auto', 'forward', 'double_backward', 'finite_difference'", "magic"],
        ),
        (
            ["--model.update=alternating", "--model.meta_every_n_steps=2"],
            ["meta_every_n_steps=2", "alternating", "leave it at 1, or use update='interleaved'"],
        ),
        (["--model.meta_every_n_steps=0"], ["meta_every_n_steps must be at least 1, got 0"]),
        (["--model.focal_gamma=0.5"], ["focal gamma is 0.5", "use 0 (cross-entropy) or a value of at least 1"]),
        (["--model.optimiser.lr=1"], ["unrecognized arguments: --optimiser.lr=1"]),
        (["--model=NoModule"], ["NoModule"]),
        (["--data.batch_size=0"], ["batch_size is 0", "at least 1"]),
    ],
)
def test_mistakes_are_refused_before_anything_runs(file, arguments, words, capsys):
    message = refused(capsys, "--config", file, *arguments)
    for word in words:
        assert word in message
    assert "Namespace(" not in message  # the whole configuration, which jsonargparse puts around what a class says
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["--trainer.gradient_clip_val=0.7"],
            ["Trainer(gradient_clip_val=0.7)", "set gradient_clip_val=0.7 on the model"],
        ),
        (
            ["--trainer.accumulate_grad_batches=3"],
            ["Trainer(accumulate_grad_batches=3)", "set accumulate_grad_batches=3 on the model"],
        ),
        (["--model.update=alternating"], ["validation runs every 1 epoch", "Trainer(check_val_every_n_epoch=2)"]),
        # Lightning itself turns --trainer.precision=16-mixed into bf16-mixed where there is no GPU
        (
            [f"--trainer.plugins{o}" for o in ("=MixedPrecision", ".precision=16-mixed", ".device=cpu")],
            ["precision='16-mixed' needs loss scaling", "use 'bf16-mixed' or '32-true'"],
        ),
    ],
)
def test_flags_that_cannot_be_honoured_are_refused_before_the_first_step(file, arguments, words, capsys):
    message = refused(capsys, "fit", "--config", file, *arguments, run=True)
    for word in words:
        assert word in message
    assert not list(Path("runs").rglob("*.ckpt"))


def test_given_labels_that_are_not_given_are_asked_for(tmp_path, capsys):
    path = config(tmp_path, MultiTaskModule)
    message = refused(capsys, "fit", "--config", path, "--data.auxiliary_labels=null", run=True)
    assert "no auxiliary labels" in message
    assert "data.auxiliary_labels, for example UniformLabels" in message


def test_missing_images_name_the_folder_and_the_flag(tmp_path, monkeypatch, capsys):
    # nothing listens on port 9: the download fails at once
    monkeypatch.setattr(HierarchicalCIFAR100, "url", "http://127.0.0.1:9/cifar-100-python.tar.gz")
    path = config(tmp_path, SingleTaskModule)
    arguments = ["--data=CIFAR100DataModule", "--data.data_dir=nowhere", "--model.network.trunk.in_channels=3"]
    message = refused(capsys, "fit", "--config", path, *arguments, run=True)
    assert f"CIFAR-100 was not found in {tmp_path / 'nowhere'}" in message
    assert "--data.data_dir or the environment variable MAXL_DATA_DIR" in message


# Checkpoints


@pytest.mark.parametrize("module", MODELS)
def test_a_checkpoint_of_a_configured_module_loads_without_arguments(fitted, module):
    run = fitted[module]
    loaded = module.load_from_checkpoint(run.last)
    assert type(loaded) is module
    assert (loaded.num_classes, getattr(loaded, "psi", (5, 5))) == (2, (5, 5))
    assert same(loaded.state_dict(), saved(run.last))  # read with weights_only=True
    assert loaded.optimizer(loaded.parameters()).defaults["lr"] == 0.01


@pytest.mark.parametrize("module", [MAXLModule, MultiTaskModule])
@pytest.mark.parametrize("subcommand", ["fit", "test"])
def test_another_psi_than_the_checkpoints_is_refused(fitted, module, subcommand, capsys):
    """[4, 6] has as many auxiliary classes, so that the weights would fit."""
    run = fitted[module]
    arguments = ["--config", run.config, "--ckpt_path", run.last, "--data.psi=[4,6]", "--trainer.max_epochs=3"]
    message = refused(capsys, subcommand, *arguments, run=True)
    assert "the checkpoint was trained with psi=[5, 5], but the data has psi=(4, 6)" in message
    assert "data.psi" in message
    assert "train anew" in message


def test_other_classes_than_the_checkpoints_are_refused(run, capsys):
    arguments = ["--config", run.config, "--ckpt_path", run.last, "--data.task=digit", "--data.psi=1"]
    message = refused(capsys, "test", *arguments, run=True)
    assert "the checkpoint was trained with num_classes=2, but the data has num_classes=10" in message


def test_the_checkpoints_own_psi_is_no_contradiction(run, recwarn):
    arguments = ["--config", run.config, "--ckpt_path", run.last, "--data.psi=5"]
    assert main(["test", *arguments]).model.psi == (5, 5)
    assert not [warning for warning in recwarn if "is not used" in str(warning.message)]


def networks(psi):
    return MultiTaskNetwork(2, psi, ConvNet4(1, (4,) * 4)), LabelGenerator(2, psi, ConvNet4(1, (4,) * 4))


@pytest.mark.parametrize("psi", [(3, 3), (4, 6)])
def test_a_trainer_refuses_to_resume_with_another_psi(run, psi, tmp_path):
    trainer = Trainer(max_epochs=3, accelerator="cpu", logger=False, default_root_dir=tmp_path)
    with pytest.raises(MisconfigurationException, match=r"trained with psi=\[5, 5\] but this module has psi="):
        trainer.fit(
            MAXLModule(*networks(psi)),
            datamodule=DigitsDataModule(psi=list(psi)),
            ckpt_path=run.last,
            weights_only=True,
        )


@pytest.mark.parametrize("psi", [3, [4, 6]])
def test_load_from_checkpoint_refuses_another_psi(run, psi):
    with pytest.raises(MisconfigurationException, match=r"trained with psi=\[5, 5\] but this module has psi="):
        MAXLModule.load_from_checkpoint(run.last, psi=psi)


def test_what_the_checkpoint_overrules_is_said(run):
    arguments = ["--config", run.config, "--ckpt_path", run.last]
    changed = ["--model.entropy_weight=0.9", "--model.optimizer.lr=7"]
    with pytest.warns(UserWarning, match=r"model\.optimizer, model\.entropy_weight is not used: train anew"):
        cli = main(["test", *arguments, *changed])
    assert cli.model.entropy_weight == 0.2


def test_a_checkpoint_of_another_method_is_refused(fitted, capsys):
    arguments = ["--config", fitted[SingleTaskModule].config, "--ckpt_path", fitted[MAXLModule].last]
    message = refused(capsys, "test", *arguments, run=True)
    assert "is of a MAXLModule, but the configuration asks for a SingleTaskModule" in message
    assert "use the configuration that it was trained with" in message


def test_a_checkpoint_made_in_python_is_tested_with_a_configuration(file, tmp_path):
    """It has weights, and no configuration that could replace the one given."""
    module = MAXLModule(*networks((5, 5)))
    trainer = Trainer(max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, limit_train_batches=1)
    trainer.fit(module, datamodule=DigitsDataModule(batch_size=10, val_fraction=0))
    trainer.save_checkpoint(tmp_path / "theirs.ckpt")
    cli = main(["test", "--config", file, "--ckpt_path", str(tmp_path / "theirs.ckpt"), "--model.entropy_weight=0.9"])
    assert same(weights(cli.model), weights(module))
    assert cli.model.entropy_weight == 0.9


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(file, run):
    main(["fit", "--config", file, "--trainer.max_epochs=1", "--test_after_fit=false"])
    half, whole = (f"runs/run/version_{version}/checkpoints/last.ckpt" for version in (0, 1))
    cli = main(["fit", "--config", file, "--ckpt_path", half, "--test_after_fit=false"])
    assert cli.trainer.global_step == 4
    assert "val/accuracy" in cli.trainer.callback_metrics
    assert "test/accuracy" not in cli.trainer.callback_metrics
    assert same(saved(whole), saved(run.last))


def test_single_task_goes_on_too(fitted):
    """It has no ψ, which the data would have set: Lightning keeps it among the checkpoint's hyperparameters."""
    run = fitted[SingleTaskModule]
    cli = main(["fit", "--config", run.config, "--ckpt_path", run.last, "--trainer.max_epochs=3"])
    assert cli.trainer.current_epoch == 3


# Seeds


def test_the_seed_decides_the_weights(file, run, capsys):
    """Seed 0 again, by way of the printed configuration."""
    with pytest.raises(SystemExit):
        main(["fit", "--config", file, "--print_config"])
    Path("printed.yaml").write_text(capsys.readouterr().out)
    ends = []
    for arguments in (["--config", "printed.yaml"], ["--config", file, "--seed_everything=1"]):
        cli = main(["fit", *arguments, "--test_after_fit=false"])
        ends.append(saved(Path(cli.trainer.log_dir, "checkpoints", "last.ckpt")))
    assert same(ends[0], saved(run.last))
    for part in ("network.trunk", "network.primary_head", "label_generator.trunk"):
        names = [name for name in ends[0] if name.startswith(part) and ends[0][name].ndim > 1]
        assert names
        assert not any(torch.equal(ends[0][n], ends[1][n]) for n in names)


def test_a_classifier_can_be_taken_from_a_run(run):
    classifier = MAXLModule.load_from_checkpoint(run.best).classifier()
    assert isinstance(classifier, Classifier)
    assert classifier(torch.zeros(2, 1, 8, 8)).shape == (2, 2)


# The commands as a user types them


def test_the_module_lists_the_subcommands(commands):
    output, _ = commands["help"].communicate(timeout=120)
    assert commands["help"].returncode == 0, output
    for subcommand in ("fit", "validate", "test", "predict"):
        assert f"\n    {subcommand} " in output
    for command in ("maxl compare --help", "maxl labels --help"):
        assert command in " ".join(output.split())


def test_the_console_script_trains_and_ends_with_accuracy_and_place(commands):
    output, _ = commands["fit"].communicate(timeout=120)
    assert commands["fit"].returncode == 0, output
    assert "1 batch per epoch will be used" in output
    accuracy, place = output.rpartition("test accuracy: ")[2].split("results: ")
    assert 0 <= float(accuracy.split()[0]) <= 1
    assert "checkpoints/epoch=" in accuracy
    assert Path(place.strip()).is_absolute()
    assert Path(place.strip(), "metrics.csv").is_file()
