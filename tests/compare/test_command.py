"""What a comparison adds to a configuration, as words of the command line."""

import json
import shlex
from pathlib import Path

import pytest
from comparisons import comparison, method

from maxl_lightning.compare.command import callback_words, fit_words

LAST = {"class_path": "maxl_lightning.callbacks.LastCheckpoint", "init_args": {"dirpath": None, "every_n_epochs": 1}}
BEST = {"class_path": "lightning.pytorch.callbacks.ModelCheckpoint", "init_args": {"monitor": "val/accuracy"}}
OTHER_LAST = {"class_path": "lightning.pytorch.callbacks.ModelCheckpoint", "init_args": {"filename": "last"}}
CSV = {"class_path": "lightning.pytorch.loggers.CSVLogger", "init_args": {"save_dir": "runs"}}
WANDB = {"class_path": "lightning.pytorch.loggers.WandbLogger", "init_args": {"project": "a b"}}


def words(plan, seed=0):
    return list(plan.run(plan.methods[0], seed).words)


def test_seed_splits_and_options_for_all(tmp_path):
    plan = comparison(tmp_path, words=("--data.psi", "[2, 3]"), new_splits=True)
    given = words(plan, seed=4)
    assert given[:5] == ["fit", "--config", str(tmp_path / "single.yaml"), "--seed_everything", "4"]
    assert given[5:9] == ["--data.psi", "[2, 3]", "--data.split_seed", "4"]
    assert "--data.split_seed" not in words(comparison(tmp_path))


def test_the_shown_command_can_be_typed(tmp_path):
    plan = comparison(tmp_path, words=("--data.psi", "[2, 3]"), threads=2)
    run = plan.run(plan.methods[0], 1)
    threads, program, *typed = shlex.split(run.shown(resume=True))
    assert (threads, program) == ("OMP_NUM_THREADS=2", "maxl")
    assert typed == [*run.words, "--ckpt_path", str(run.folder / "checkpoints" / "last.ckpt")]


def test_metrics_go_to_the_folder_of_the_run(tmp_path):
    given = words(comparison(tmp_path), seed=3)
    value = {name: given[given.index(f"--trainer.logger.{name}") + 1] for name in ("save_dir", "name", "version")}
    assert Path(*value.values()) == tmp_path / "out" / "runs" / "single" / "seed_3"


def test_other_loggers_are_kept_behind_ours(tmp_path):
    plan = method(tmp_path, logger=[CSV, WANDB])
    given = fit_words(plan, 0, tmp_path / "runs" / "single" / "seed_0", False, [])
    ours, theirs = json.loads(given[given.index("--trainer.logger") + 1])
    assert ours["class_path"] == "CSVLogger"
    assert ours["init_args"]["flush_logs_every_n_steps"] == 1
    assert theirs == WANDB


@pytest.mark.parametrize("callbacks", [None, [], [BEST], BEST, OTHER_LAST])
def test_a_last_checkpoint_is_added(tmp_path, callbacks):
    assert "--trainer.callbacks+=LastCheckpoint" in callback_words(method(tmp_path, callbacks=callbacks))


def test_in_the_alternating_order_it_follows_the_generators_pass(tmp_path):
    given = callback_words(method(tmp_path, update="alternating"))
    assert given[-2:] == ["--trainer.callbacks.every_n_epochs", "2"]


@pytest.mark.parametrize("callbacks", [LAST, [BEST, LAST]])
def test_one_that_is_there_is_used(tmp_path, callbacks):
    assert callback_words(method(tmp_path, callbacks=callbacks)) == ["--trainer.callbacks+=TestEveryEpoch"]


def test_what_is_there_is_not_added_again(tmp_path):
    every = {"class_path": "maxl_lightning.callbacks.TestEveryEpoch", "init_args": {"loader": None}}
    assert callback_words(method(tmp_path, callbacks=[every, LAST])) == []


def test_flags_that_contradict_what_is_added_are_overridden(tmp_path):
    assert callback_words(method(tmp_path, enable_checkpointing=False))[-2:] == [
        "--trainer.enable_checkpointing",
        "true",
    ]
    bar = {"class_path": "lightning.pytorch.callbacks.RichProgressBar", "init_args": {}}
    without, with_bar = method(tmp_path), method(tmp_path, callbacks=[bar])
    assert "--trainer.enable_progress_bar" in fit_words(without, 0, tmp_path / "a" / "b" / "c", False, [])
    assert "--trainer.enable_progress_bar" not in fit_words(with_bar, 0, tmp_path / "a" / "b" / "c", False, [])
