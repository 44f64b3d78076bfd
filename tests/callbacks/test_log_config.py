"""The full configuration reaches every logger, in its true form."""

from pathlib import Path

import pytest
import torch
import wandb
import yaml
from command_line import config
from lightning.pytorch import Trainer
from offline_wandb import content
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from maxl_lightning.callbacks import LogConfig
from maxl_lightning.cli import main

pytestmark = pytest.mark.usefixtures("frozen_garbage", "own_arguments")


@pytest.fixture
def file(tmp_path):
    return config(tmp_path)


def fit(*arguments):
    """Train for an epoch, with settings in the data and in the model that are not the defaults."""
    settings = ["--data.psi=[2,3]", "--model.entropy_weight=0.3", "--model.lr_scheduler=null"]
    return main(["fit", *arguments, *settings, "--trainer.max_epochs=1", "--test_after_fit=false"])


def check(full):
    """A full configuration has what was set, what was left at its default, and the seed."""
    assert full["seed_everything"] == 0
    assert full["data"]["init_args"]["psi"] == [2, 3]
    assert full["data"]["init_args"]["split_seed"] == 0
    assert full["model"]["class_path"].endswith("MAXLModule")
    assert full["model"]["init_args"]["entropy_weight"] == 0.3
    assert full["model"]["init_args"]["lr_scheduler"] is None  # left out, it would be the default, which is another
    assert full["model"]["init_args"]["lookahead"] == "optimizer"
    assert full["model"]["init_args"]["meta_optimizer"]["init_args"]["weight_decay"] == 5e-4
    assert full["trainer"]["max_epochs"] == 1
    assert full["trainer"]["check_val_every_n_epoch"] == 1


def test_a_csv_run_holds_a_working_configuration(file):
    cli = fit("--config", file)
    path = Path(cli.trainer.log_dir, "config.yaml")
    check(yaml.safe_load(path.read_text()))
    check(yaml.unsafe_load(path.with_name("hparams.yaml").read_text())["config"])
    again = main(["fit", "--config", str(path)])
    assert again.trainer.log_dir != cli.trainer.log_dir
    assert Path(again.trainer.log_dir, "config.yaml").read_text() == path.read_text()
    made = main(["--config", str(path)], run=False)
    assert (made.model.psi, made.model.entropy_weight) == ((2, 3), 0.3)
    pairs = zip(cli.model.parameters(), again.model.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_testing_and_going_on_leave_the_fits_configuration_alone(file):
    """In the same folder, which is not the default."""
    cli = fit("--config", file, "--trainer.logger.version=0")
    folder = Path(cli.trainer.log_dir)
    before = (folder / "config.yaml").read_text()
    last = str(folder / "checkpoints" / "last.ckpt")
    arguments = ["--config", str(folder / "config.yaml"), "--ckpt_path", last]
    tested = main(["test", *arguments])
    assert tested.trainer.log_dir == str(folder)
    resumed = main(["fit", *arguments, "--trainer.max_epochs=2"])
    assert resumed.trainer.log_dir == str(folder)
    assert (folder / "config.yaml").read_text() == before
    assert yaml.safe_load((folder / "config_test.yaml").read_text())["ckpt_path"] == last
    assert yaml.safe_load((folder / "config_2.yaml").read_text())["trainer"]["max_epochs"] == 2


def test_testing_by_default_writes_elsewhere(file):
    cli = fit("--config", file)
    files = {path: path.read_bytes() for path in Path(cli.trainer.log_dir).rglob("*") if path.is_file()}
    last = str(Path(cli.trainer.log_dir, "checkpoints", "last.ckpt"))
    tested = main(["test", "--config", file, "--ckpt_path", last, "--data.psi=[2,3]"])
    assert {path: path.read_bytes() for path in Path(cli.trainer.log_dir).rglob("*") if path.is_file()} == files
    assert Path(tested.trainer.log_dir, "config_test.yaml").is_file()


def test_tensorboard_is_a_line_away(file):
    cli = fit("--config", file, "--trainer.logger", "TensorBoardLogger", "--trainer.logger.save_dir=board")
    folder = Path(cli.trainer.log_dir)
    assert folder.is_relative_to("board")
    check(yaml.safe_load((folder / "config.yaml").read_text()))
    events = EventAccumulator(str(folder)).Reload()
    assert {"val/accuracy", "train/meta_loss"} <= set(events.Tags()["scalars"])
    assert any("psi" in value for value in hyperparameters(events))


def hyperparameters(events):
    content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    return HParamsPluginData.FromString(content).session_start_info.hparams


def test_two_loggers_get_it_both(file):
    csv = {"class_path": "CSVLogger", "init_args": {"save_dir": "a"}}
    board = {"class_path": "TensorBoardLogger", "init_args": {"save_dir": "b"}}
    cli = fit("--config", file, f"--trainer.logger=[{yaml.safe_dump(csv, default_flow_style=True).strip()}, "
              f"{yaml.safe_dump(board, default_flow_style=True).strip()}]")  # fmt: skip
    for logger in cli.trainer.loggers:
        check(yaml.safe_load(Path(logger.log_dir, "config.yaml").read_text()))


def test_two_runs_of_wandb_do_not_collide(file, tmp_path, monkeypatch):
    """The real thing, without a network."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    root = tmp_path / "kept"  # a whole path, since W&B's service stays in the folder in which a process first used it
    logger = ["--trainer.logger", "WandbLogger", "--trainer.logger.offline=true", f"--trainer.logger.save_dir={root}"]
    for seed in (0, 1):
        cli = fit("--config", file, *logger, f"--seed_everything={seed}")
        kept = cli.trainer.logger.experiment.config["config"]
        check({**kept, "seed_everything": kept["seed_everything"] - seed})
        assert Path(cli.trainer.checkpoint_callback.best_model_path).is_file()
        wandb.finish()
    folders = sorted((root / "wandb").glob("offline-run-*"))
    assert len(folders) == 2
    for folder in folders:
        record = content(folder, b"entropy_weight", b"train/meta_loss")
        assert b"entropy_weight" in record  # the configuration
        assert b"train/meta_loss" in record  # and the metrics are on disk
    assert len(list(root.rglob("last.ckpt"))) == 2
    assert not list(root.glob("config*.yaml"))


def test_without_a_logger_there_is_nothing_to_write(file):
    fit("--config", file, "--trainer.logger=false")
    assert not list(Path().rglob("config*.yaml"))


def test_only_the_first_process_writes(tmp_path, monkeypatch):
    saved = []
    monkeypatch.setattr(LogConfig, "save_config", lambda *arguments: saved.append(arguments))
    trainer = Trainer(logger=False, enable_checkpointing=False, accelerator="cpu", default_root_dir=tmp_path)
    callback = LogConfig(parser=None, config=None)
    monkeypatch.setattr(Trainer, "is_global_zero", False)
    callback.setup(trainer, None, "fit")
    assert not saved
    monkeypatch.setattr(Trainer, "is_global_zero", True)
    callback.setup(trainer, None, "fit")
    assert len(saved) == 1
    callback.setup(trainer, None, "test")  # the test at the end of fit is not another run
    assert len(saved) == 1
