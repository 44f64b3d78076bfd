"""Callbacks by bare name from a configuration; their pictures beside the run and in every logger, in its true form."""

from pathlib import Path

import pytest
import wandb
import yaml
from command_line import config
from lightning.pytorch.loggers import Logger
from offline_wandb import content
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from watching import maxl, watch

from maxl_lightning.callbacks import GradientCosine
from maxl_lightning.callbacks.figures import percent, run_folder
from maxl_lightning.cli import main

pytestmark = pytest.mark.usefixtures("frozen_garbage", "own_arguments")

ALL = ("ConfusionMatrix", "FeatureMap", "GradientCosine", "LabelAgreement", "LabelGallery", "LabelUsage")
PICTURES = [
    "confusion_matrix_val_epoch_001.png", "feature_map_epoch_001.png", "gradient_cosine_epoch_001.png",
    "label_agreement_epoch_001.png", "label_gallery_epoch_001.png", "label_usage_epoch_001.png",
]  # fmt: skip


def fit(folder, *arguments, callbacks=("LabelGallery",)):
    """Train for an epoch with callbacks of which the configuration says the name only."""
    path = config(folder, max_epochs=1, callbacks=[{"class_path": name} for name in callbacks])
    return main(["fit", "--config", path, "--test_after_fit=false", *arguments])


def test_csv_has_the_numbers_and_the_folder_the_pictures(tmp_path):
    cli = fit(tmp_path, callbacks=ALL)
    assert sorted(path.name for path in Path(cli.trainer.log_dir, "figures").iterdir()) == PICTURES
    header = Path(cli.trainer.log_dir, "metrics.csv").read_text().splitlines()[0].split(",")
    assert {"train/gradient_cosine", "train/classes_used_min", "train/human_rand_index"} <= set(header)
    saved = yaml.safe_load(Path(cli.trainer.log_dir, "config.yaml").read_text())["trainer"]["callbacks"]
    assert saved[-1]["init_args"]["uniform_threshold"] == 0.98  # what the name alone stands for


def test_arguments_are_options(tmp_path):
    options = {"primary_classes": ["odd", 0], "every_n_epochs": 3, "images_per_class": 2, "name": "mine"}
    gallery = {"class_path": "LabelGallery", "init_args": options}
    usage = {"class_path": "LabelUsage", "init_args": {"patience": 3, "log_every_n_epochs": 2, "num_images": 7}}
    path = config(tmp_path, callbacks=[gallery, usage])
    made, other = main(["--config", path], run=False).trainer.callbacks[:2]
    assert {name: getattr(made, name) for name in options} == options
    assert (other.patience, other.log_every_n_epochs, other.num_images) == (3, 2, 7)


def test_without_a_logger_pictures_lie_in_the_root_folder(tmp_path):
    watch([GradientCosine(num_images=10)], maxl(), default_root_dir=tmp_path / "root")
    assert (tmp_path / "root" / "figures" / "gradient_cosine_epoch_001.png").is_file()


def test_tensorboard_holds_the_picture_itself(tmp_path):
    cli = fit(tmp_path, "--trainer.logger", "TensorBoardLogger", "--trainer.logger.save_dir=board")
    (event,) = EventAccumulator(cli.trainer.log_dir).Reload().Images("label_gallery")
    (path,) = Path(cli.trainer.log_dir, "figures").iterdir()
    assert (event.width, event.height) == Image.open(path).size
    Path("event.png").write_bytes(event.encoded_image_string)
    assert Image.open("event.png").convert("RGB").tobytes() == Image.open(path).convert("RGB").tobytes()
    assert event.step == 2


def test_wandb_holds_metrics_configuration_and_the_picture(tmp_path, monkeypatch):
    """The real thing, without a network."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    kept = tmp_path / "kept"  # a whole path, since W&B's service stays in the folder in which a process first used it
    logger = ["--trainer.logger", "WandbLogger", "--trainer.logger.offline=true", f"--trainer.logger.save_dir={kept}"]
    cli = fit(tmp_path, *logger, callbacks=("LabelGallery", "GradientCosine"))
    run = cli.trainer.logger.version
    assert cli.trainer.logger.experiment.config["config"]["data"]["class_path"].endswith("DigitsDataModule")
    wandb.finish()
    (folder,) = (kept / "wandb").glob(f"offline-run-*-{run}")
    (picture,) = (folder / "files" / "media" / "images").glob("label_gallery_*.png")
    (beside,) = kept.rglob("figures/label_gallery_epoch_001.png")
    assert run in beside.parts  # not the folder that all runs share
    assert Image.open(picture).tobytes() == Image.open(beside).tobytes()
    parts = b"train/gradient_cosine", b"train/meta_loss", b"entropy_weight", b"label_gallery"
    record = content(folder, *parts)
    assert all(part in record for part in parts)


class Minimal(Logger):
    """A logger of the user's own that takes images."""

    name, version, images = "minimal", 3, ()

    def log_metrics(self, metrics, step=None):
        pass

    def log_hyperparams(self, *args, **kwargs):
        pass

    def log_image(self, key, images, step=None):
        self.images = [*self.images, (key, images, step)]


class WithoutImages(Minimal):
    log_image = property()


def test_any_logger_with_log_image_gets_the_file(tmp_path):
    loggers = [Minimal(), WithoutImages()]
    made = watch([GradientCosine(num_images=10)], maxl(), logger=loggers, default_root_dir=tmp_path)
    path = tmp_path / "minimal" / "version_3" / "figures" / "gradient_cosine_epoch_001.png"
    assert loggers[0].images == [("gradient_cosine", [str(path)], 3)]
    assert path.is_file()
    assert run_folder(made) == tmp_path / "minimal" / "version_3"


def test_percent():
    assert [percent(share) for share in (0.0, 0.001, 0.005, 1.0)] == ["0%", "<1%", "0%", "100%"]
