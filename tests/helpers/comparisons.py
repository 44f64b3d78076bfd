"""Comparisons whose runs are faked, and the numbers that they must come to."""

import io
import json
import sys
from pathlib import Path

import fake_fit
import pandas as pd
from rich.console import Console

from maxl_lightning.compare import Comparison, Method, compare
from maxl_lightning.compare.attempt import digest

FAKE = (sys.executable, "-S", fake_fit.__file__)
TIMES = ["seconds", "attempts"]


def settings(model="SingleTaskModule", max_epochs=fake_fit.EPOCHS, data=None, update=None, **trainer):
    """What a configuration resolves to, reduced to what a comparison looks at."""
    images = {"num_train": 200, "batch_size": 50, "split_seed": 0, "psi": None, **(data or {})}
    limits = {"max_epochs": max_epochs, "check_val_every_n_epoch": 1, "logger": None, "callbacks": None}
    return {
        "model": {"class_path": f"maxl_lightning.{model}", "init_args": {"update": update} if update else {}},
        "data": {"class_path": "maxl_lightning.DigitsDataModule", "init_args": images},
        "trainer": limits | trainer,
    }


def method(folder, name="single", **options):
    """A method with a configuration file."""
    path = Path(folder) / f"{name}.yaml"
    path.write_text(f"# {name}\n")
    return Method(name, str(path), digest(str(path)), settings(**options))


def comparison(folder, names=("single", "maxl"), seeds=2, out="out", **options):
    methods = tuple(method(folder, name) for name in names)
    return Comparison(Path(folder) / out, methods, tuple(range(seeds)), **options)


def run(plan, jobs=2, references=None):
    """Compare, and return the exit status and what was printed."""
    console = Console(file=io.StringIO(), width=200)
    status = compare(plan, jobs, references, console)
    return status, console.file.getvalue()


def results(out):
    """The rows of the runs without times, and the curves."""
    return pd.read_csv(out / "runs.csv").drop(columns=TIMES), pd.read_csv(out / "curves.csv")


def attempts(out, name, seed):
    return len(json.loads((out / "runs" / name / f"seed_{seed}" / "attempts.json").read_text()))
