"""``maxl compare`` as a command: what it reads, what it refuses, and real runs in this process."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from command_line import config
from pandas.testing import assert_frame_equal

from maxl_lightning import cli
from maxl_lightning.cli.compare import cores, named
from maxl_lightning.cli.settings import read_settings
from maxl_lightning.cli.words import split_words
from maxl_lightning.modules import MAXLModule, MultiTaskModule, SingleTaskModule

pytestmark = pytest.mark.usefixtures("frozen_garbage", "own_arguments")


class Died(BaseException):
    """What ends a process: nothing catches it on the way."""


@pytest.fixture
def here(monkeypatch):
    """Run the commands of a comparison in this process, and return them."""
    commands = []

    def execute(command, log, lock, threads, stop):
        commands.append(command)
        log.write_text("")
        try:
            cli.main(command[3:])
        except Died:
            return -9
        return 0

    monkeypatch.setattr("maxl_lightning.compare.worker.execute", execute)
    return commands


def compare(*words):
    """Run the command, and return its exit status."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["compare", *map(str, words)])
    return ended.value.code


def refused(capsys, *words):
    assert compare(*words) == 2
    return capsys.readouterr().err


def results(out):
    """The rows of the runs without times, and the curves."""
    return pd.read_csv(f"{out}/runs.csv").drop(columns=["seconds", "attempts"]), pd.read_csv(f"{out}/curves.csv")


@pytest.fixture
def files(tmp_path):
    names = {SingleTaskModule: "single", MultiTaskModule: "uniform", MAXLModule: "maxl"}
    return {name: f"{name}={config(tmp_path, module)}" for module, name in names.items()}


# What it reads


@pytest.mark.parametrize(
    ("words", "own", "handed_on"),
    [
        (["a", "--trainer.max_epochs", "3", "b"], ["a", "b"], ["--trainer.max_epochs", "3"]),
        (["a", "--trainer.max_epochs=3", "b"], ["a", "b"], ["--trainer.max_epochs=3"]),
        (["a", "--model.x", "-1", "--seeds", "2"], ["a", "--seeds", "2"], ["--model.x", "-1"]),
        (["a", "--data", "D", "--trainer.callbacks+=X"], ["a"], ["--data", "D", "--trainer.callbacks+=X"]),
        (["a", "--", "--seeds", "2", "b"], ["a"], ["--seeds", "2", "b"]),
        (["--database", "x"], ["--database", "x"], []),
    ],
)
def test_options_of_fit_are_parted_from_our_own(words, own, handed_on):
    assert split_words(words) == (own, handed_on)


def test_methods_are_named_after_their_files(tmp_path):
    (tmp_path / "lr=0.1").mkdir()
    path = tmp_path / "lr=0.1" / "mine.yaml"
    path.write_text("")
    assert named(str(path)) == ("mine", str(path))
    assert named(f"other={path}") == ("other", str(path))


def test_settings_are_those_of_a_run(files):
    """The words for all runs are in them, and so are defaults."""
    path = files["maxl"].partition("=")[2]
    settings = read_settings(path, ["--trainer.max_epochs", "7", "--data.psi=[2,3]"])
    built = cli.main(["--config", path, "--trainer.max_epochs=7", "--data.psi=[2,3]"], run=False)
    assert settings["trainer"]["max_epochs"] == built.trainer.max_epochs == 7
    assert settings["model"]["init_args"]["update"] == built.model.update
    assert settings["data"]["init_args"]["psi"] == [2, 3]
    assert settings["data"]["init_args"]["val_fraction"] == built.datamodule.val_fraction
    assert json.loads(json.dumps(settings)) == settings


def test_settings_are_the_same_each_time(tmp_path):
    """Optimisers left at their defaults are functions, which have another address in each process."""
    path = tmp_path / "defaults.yaml"
    path.write_text(yaml.safe_dump({
        "model": {"class_path": "SingleTaskModule", "init_args": {"network": {"class_path": "Classifier", "init_args": {
            "trunk": {"class_path": "VGG16"}}}}},
        "data": {"class_path": "CIFAR100DataModule"},
    }))  # fmt: skip
    assert " at 0x" not in json.dumps(read_settings(str(path), []))


# What it refuses, before anything runs


def test_refused_comparisons(files, capsys, tmp_path):
    single, maxl = files["single"], files["maxl"]
    (tmp_path / "broken.yaml").write_text("model: [")
    resumed = f"{Path(single.partition('=')[2]).read_text()}\nckpt_path: last.ckpt\n"
    (tmp_path / "resumed.yaml").write_text(resumed)
    all_of = [single, maxl, "--seeds", 1, "--out", "out"]
    for words, message in (
        ([single, single, "--seeds", 1, "--out", "out"], "are both named single: write NAME="),
        (["nowhere.yaml", "--seeds", 1, "--out", "out"], "nowhere.yaml is no file"),
        (["a/b=" + single.partition("=")[2], "--seeds", 1, "--out", "out"], "'a/b' cannot name a method"),
        ([tmp_path / "broken.yaml", "--seeds", 1, "--out", "out"], "broken.yaml: "),
        ([tmp_path / "resumed.yaml", "--seeds", 1, "--out", "out"], "sets ckpt_path to last.ckpt, from which"),
        ([single, "--seeds", 1, "--out", "/dev/null/out"], "/dev/null/out"),
        ([single, "--seeds", 0, "--out", "out"], "'0' is no whole number of at least 1"),
        ([single, "--seeds", "x", "--out", "out"], "'x' is no whole number"),
        ([*all_of, "--nonsense"], "unrecognized arguments: --nonsense"),
        ([*all_of, "--trainer.nonsense", 3], "nonsense"),
        ([*all_of, "--model.entropy_weight", 0.1], "SingleTaskModule.yaml: "),
        ([*all_of, "--reference", "frozen"], "--reference frozen is none of the methods: single, maxl"),
        ([*all_of, "--", "--seed_everything=3"], "--seed_everything is for the comparison to set: remove it"),
        ([*all_of, "--new_splits", "--data.split_seed=3"], "--data.split_seed contradicts --new_splits"),
        ([*all_of, "--trainer.fast_dev_run=true"], "trainer.fast_dev_run, with which a run leaves no results"),
    ):
        assert message in refused(capsys, *words), words
        assert not Path("out").exists()


def test_other_data_are_refused_by_every_key(files, capsys, tmp_path):
    content = yaml.safe_load(Path(files["maxl"].partition("=")[2]).read_text())
    content["data"]["init_args"] |= {"num_train": 30, "task": "digit", "psi": 2, "num_workers": 1}
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(content))
    message = refused(capsys, files["single"], tmp_path / "other.yaml", "--seeds", 1, "--out", "out")
    assert "differ in data.task ('parity' and 'digit'), data.num_train (20 and 30): methods can only be" in message


# Real runs


@pytest.mark.parametrize("order", [pytest.param("interleaved", marks=pytest.mark.slow), "alternating"])
def test_an_interrupted_comparison_comes_to_the_numbers_of_a_whole_one(here, files, order, monkeypatch):
    """It dies in the middle of an epoch, of which the metrics have a row already."""
    words = [files["maxl"], "--seeds", 1, "--new_splits", "--trainer.max_epochs=4"]
    if order == "alternating":
        words += ["--model.update=alternating", "--trainer.check_val_every_n_epoch=2"]
    assert compare(*words, "--out", "whole") == 0
    step = MAXLModule.training_step

    def die(module, batch, batch_idx):
        if module.current_epoch == 2 and batch_idx == 1:
            raise Died
        step(module, batch, batch_idx)

    monkeypatch.setattr(MAXLModule, "training_step", die)
    assert compare(*words, "--out", "parts") == 1
    monkeypatch.setattr(MAXLModule, "training_step", step)
    assert compare(*words, "--out", "parts") == 0
    assert here[-1][-2:] == ["--ckpt_path", "parts/runs/maxl/seed_0/checkpoints/last.ckpt"]
    for parts, whole in zip(results("parts"), results("whole"), strict=True):
        assert_frame_equal(parts, whole)
    folders = [Path(out, "runs", "maxl", "seed_0", "checkpoints", "last.ckpt") for out in ("parts", "whole")]
    parts, whole = (torch.load(path, weights_only=True)["state_dict"] for path in folders)
    assert all(torch.equal(parts[name], whole[name]) for name in whole)
    _, curves = results("whole")
    assert curves["epoch"].tolist() == ([1, 2] if order == "alternating" else [1, 2, 3, 4])
    assert curves[["test_accuracy", "val_accuracy", "label_entropy"]].notna().all(axis=None)


def test_methods_and_seeds_in_one_command(here, files, capsys):
    """Tables, figures and references, for methods with and without an auxiliary task."""
    words = [files["maxl"], files["single"], "--seeds", 2, "--first_seed", 3, "--out", "out"]
    assert compare(*words, "--reference", "maxl") == 0
    printed = capsys.readouterr().out
    runs, curves = results("out")
    assert runs[["method", "seed"]].values.tolist() == [[m, s] for m in ("single", "maxl") for s in (3, 4)]
    assert runs["averaged_epochs"].tolist() == [2] * 4
    assert runs["label_confidence"].notna().tolist() == [False] * 2 + [True] * 2
    assert len(curves) == 8
    summary = pd.read_csv("out/summary.csv")
    assert set(summary["reference"].dropna()) == {"maxl"}
    assert "single − maxl" in printed
    assert "mean of the last 2 tested epochs" in printed
    assert "single − maxl" in Path("out/summary.md").read_text()
    for name in ("accuracy.png", "bars.png"):
        assert Path("out", name).read_bytes().startswith(b"\x89PNG")
    # as the last weights' accuracy from an evaluation of its own
    last = "out/runs/single/seed_4/checkpoints/last.ckpt"
    path = files["single"].partition("=")[2]
    tested = cli.main(["test", "--config", path, "--ckpt_path", last, "--trainer.logger=false", "--seed_everything=4"])
    final = runs.loc[(runs["method"] == "single") & (runs["seed"] == 4), "test_accuracy_final"].item()
    assert float(tested.trainer.callback_metrics["test/accuracy"]) == pytest.approx(final)


def test_a_repeated_command_needs_no_parser_and_remembers_the_threads(here, files, monkeypatch):
    """Lightning, which takes seconds to import, is left out where nothing has changed."""
    words = [files["single"], "--seeds", 1, "--out", "out", "--trainer.max_epochs=1"]
    assert compare(*words, "--jobs", cores()) == 0
    assert json.loads(Path("out/comparison.json").read_text())["threads"] == 1
    monkeypatch.setitem(sys.modules, "maxl_lightning.cli.settings", None)
    Path("out/summary.md").unlink()
    assert compare(*words) == 0
    assert Path("out/summary.md").is_file()
    with pytest.raises(ImportError):
        cli.main(["compare", *map(str, words), "--trainer.max_steps=5"])


def test_as_a_user_types_it(files):
    """The command and its run as processes of their own, and the same command once more."""
    path, out = files["single"], Path("out")
    words = [sys.executable, "-m", "maxl_lightning", "compare", path, "--seeds", "1", "--out", "out", "--threads", "1"]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "timeout": 300}
    first = subprocess.run(words, **options)
    assert first.returncode == 0, first.stdout
    (command,) = (line.strip() for line in first.stdout.splitlines() if "maxl fit" in line)
    assert command == json.loads((out / "runs" / "single" / "seed_0" / "run.json").read_text())["command"]
    assert command in (out / "summary.md").read_text()
    assert "single, seed 0: finished, test accuracy" in first.stdout
    log = (out / "runs" / "single" / "seed_0" / "log.txt").read_text()
    assert "`Trainer.fit` stopped: `max_epochs=2` reached" in log
    times = {file: file.stat().st_mtime_ns for file in out.rglob("runs/**/*")}
    second = subprocess.run(words, **options)
    assert second.returncode == 0, second.stdout
    assert "1 runs, 1 of them finished already" in second.stdout
    assert {file: file.stat().st_mtime_ns for file in out.rglob("runs/**/*")} == times


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_real_runs_that_are_killed_go_on_to_the_same_numbers(files, number):
    """The run by SIGKILL, the whole comparison by SIGTERM, in the middle of training."""
    words = [sys.executable, "-m", "maxl_lightning", "compare", files["maxl"], "--seeds", "1", "--threads", "1",
             "--trainer.max_epochs", "30", "--out"]  # fmt: skip
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    whole = subprocess.run([*words, "whole"], **options, timeout=300)
    assert whole.returncode == 0, whole.stdout
    folder = Path("parts/runs/maxl/seed_0")
    process = subprocess.Popen([*words, "parts"], **options)
    while not (folder / "metrics.csv").is_file() or len((folder / "metrics.csv").read_text().splitlines()) < 60:
        assert process.poll() is None
        time.sleep(0.05)
    if number == signal.SIGTERM:
        process.terminate()
    else:
        os.kill(int((folder / "lock").read_text().split()[1]), signal.SIGKILL)
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == (130 if number == signal.SIGTERM else 1), printed
    assert not (folder / "run.json").exists()
    rest = subprocess.run([*words, "parts"], **options, timeout=300)
    assert rest.returncode == 0, rest.stdout
    assert "goes on after epoch" in rest.stdout
    for parts, expected in zip(results("parts"), results("whole"), strict=True):
        assert_frame_equal(parts, expected)
    last = [
        torch.load(f"{out}/runs/maxl/seed_0/checkpoints/last.ckpt", weights_only=True) for out in ("parts", "whole")
    ]
    assert all(torch.equal(last[0]["state_dict"][name], tensor) for name, tensor in last[1]["state_dict"].items())
