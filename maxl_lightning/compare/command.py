"""The command line of one run: the configuration, and what a comparison adds to it."""

import json
from collections.abc import Sequence
from pathlib import Path

from maxl_lightning.compare.settings import Method, Settings, class_name

__all__ = ["fit_words"]


def fit_words(method: Method, seed: int, folder: Path, new_splits: bool, words: Sequence[str]) -> list[str]:
    """Return the words after ``maxl`` that train one method with one seed.

    Args:
        method: what is trained.
        seed: of ``seed_everything``.
        folder: of all that the run leaves.
        new_splits: whether the seed decides the splits of the data, too.
        words: further words of all runs.
    """
    words = ["fit", "--config", method.config, "--seed_everything", str(seed), *words]
    if new_splits:
        words += ["--data.split_seed", str(seed)]
    words += logger_words(method.loggers, csv_logger(folder))
    words += callback_words(method)
    if not any(class_name(callback).endswith("ProgressBar") for callback in method.callbacks):
        words += ["--trainer.enable_progress_bar", "false"]
    # the accuracy on the test images is there already, for every epoch
    return [*words, "--test_after_fit", "false"]


def csv_logger(folder: Path) -> Settings:
    """Return the logger that writes into a run's folder, each row at once: a killed run keeps them."""
    save_dir, name, version = folder.parents[1], folder.parent.name, folder.name
    return {"save_dir": str(save_dir), "name": name, "version": version, "flush_logs_every_n_steps": 1}


def logger_words(loggers: Sequence[Settings], own: Settings) -> list[str]:
    """Return the words that put the comparison's logger in the place of the configuration's CSV files.

    It comes first, as the first logger's folder is where checkpoints lie.
    """
    others = [logger for logger in loggers if class_name(logger) != "CSVLogger"]
    if others:
        return ["--trainer.logger", json.dumps([{"class_path": "CSVLogger", "init_args": own}, *others])]
    words = ["--trainer.logger", "CSVLogger"]
    for name, value in own.items():
        words += [f"--trainer.logger.{name}", str(value)]
    return words


def callback_words(method: Method) -> list[str]:
    """Return the words that add a test after every epoch and a checkpoint to resume from, where there is none."""
    there = {class_name(callback) for callback in method.callbacks}
    words = [] if "TestEveryEpoch" in there else ["--trainer.callbacks+=TestEveryEpoch"]
    if "LastCheckpoint" not in there:
        words.append("--trainer.callbacks+=LastCheckpoint")
        if method.alternating:  # after θ2's pass
            words += ["--trainer.callbacks.every_n_epochs", "2"]
    if method.trainer.get("enable_checkpointing") is False:
        words += ["--trainer.enable_checkpointing", "true"]
    return words
