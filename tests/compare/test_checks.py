"""What cannot be compared is refused before anything runs, and a folder holds one comparison."""

import dataclasses
import json

import pytest
from comparisons import comparison, method

from maxl_lightning.compare.checks import check_methods, unequal_budgets
from maxl_lightning.compare.store import keep_comparison


def check(*methods, new_splits=False):
    check_methods(methods, new_splits)


def test_other_images_are_refused_by_name(tmp_path):
    """Every key that differs, with both values."""
    one = method(tmp_path, "single")
    other = method(tmp_path, "maxl", data={"num_train": 100, "batch_size": 50, "val_fraction": 0.1})
    with pytest.raises(ValueError, match=r"single.yaml and .*maxl.yaml differ in data.num_train \(200 and 100\), "
                       r"data.val_fraction \(None and 0.1\).*same images"):  # fmt: skip
        check(one, other)


def test_other_data_are_refused(tmp_path):
    other = method(tmp_path, "maxl")
    other.settings["data"]["class_path"] = "maxl_lightning.MNISTDataModule"
    with pytest.raises(ValueError, match=r"differ in data \('maxl_lightning.DigitsDataModule' and "):
        check(method(tmp_path), other)


def test_a_split_is_part_of_the_data(tmp_path):
    with pytest.raises(ValueError, match=r"differ in data.split_seed \(0 and 1\)"):
        check(method(tmp_path), method(tmp_path, "maxl", data={"split_seed": 1}))


@pytest.mark.parametrize("name", ["auxiliary_labels", "psi", "num_workers", "pin_memory", "eval_batch_size"])
def test_what_a_method_is_and_what_changes_no_number_may_differ(tmp_path, name):
    check(method(tmp_path), method(tmp_path, "maxl", data={name: 3}))


@pytest.mark.parametrize(
    ("trainer", "words"),
    [
        ({"fast_dev_run": True}, "trainer.fast_dev_run, with which a run leaves no results: remove it"),
        ({"barebones": True}, "trainer.barebones"),
        ({"max_epochs": -1}, "without an end: give a number of epochs"),
        (
            {"callbacks": [{"class_path": "x.ModelCheckpoint", "init_args": {"dirpath": "kept"}}]},
            "ModelCheckpoint the folder kept, where the checkpoints of all seeds would overwrite each other",
        ),
    ],
)
def test_runs_that_would_leave_nothing_are_refused(tmp_path, trainer, words):
    with pytest.raises(ValueError, match=words):
        check(method(tmp_path, **trainer))


@pytest.mark.parametrize("where", ["EarlyStopping", "lr_scheduler"])
def test_a_choice_by_test_images_is_refused(tmp_path, where):
    for value, status in (("val/accuracy", None), ("test/accuracy", f"lets its {where} choose by test/accuracy")):
        chosen = {"class_path": f"x.{where}", "init_args": {"monitor": value}}
        one = method(tmp_path, callbacks=[chosen] if where == "EarlyStopping" else None)
        one.settings["model"]["init_args"]["lr_scheduler"] = chosen if where == "lr_scheduler" else None
        if status is None:
            check(one)
            continue
        with pytest.raises(ValueError, match=status):
            check(one)


def test_new_splits_need_a_split_seed(tmp_path):
    one = method(tmp_path)
    check(one, new_splits=True)
    del one.settings["data"]["init_args"]["split_seed"]
    with pytest.raises(ValueError, match=r"have no argument split_seed: leave out --new_splits"):
        check(one, new_splits=True)


def test_unequal_budgets_are_named(tmp_path):
    one, other = method(tmp_path), method(tmp_path, "maxl", max_epochs=7, max_steps=3)
    epochs, steps = unequal_budgets([one, other])
    assert "epochs of the network: single 8, maxl 7" in epochs
    assert "trainer.max_steps: single None, maxl 3" in steps


def test_alternating_epochs_count_half(tmp_path):
    """The Trainer's 16 epochs are 8 of the network."""
    one = method(tmp_path)
    assert not unequal_budgets([one, method(tmp_path, "maxl", max_epochs=16, update="alternating")])
    assert not unequal_budgets([one, method(tmp_path, "maxl", max_epochs=8, update="interleaved")])
    (warning,) = unequal_budgets([one, method(tmp_path, "maxl", max_epochs=8, update="alternating")])
    assert "single 8, maxl 4" in warning


# The folder of a comparison


def changed(plan, **trainer):
    first, *rest = plan.methods
    settings = json.loads(json.dumps(first.settings))
    settings["trainer"] |= trainer
    return dataclasses.replace(plan, methods=(dataclasses.replace(first, settings=settings), *rest))


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"new_splits": True}, r"new_splits \(False there, True here\)"),
        ({"threads": 2}, r"threads \(1 there, 2 here\)"),
        ({"words": ("--data.psi", "3")}, r"the options for all runs \('' there, '--data.psi=3' here\)"),
    ],
)
def test_another_comparison_is_refused_by_what_differs(tmp_path, other, words):
    keep_comparison(comparison(tmp_path))
    with pytest.raises(ValueError, match=rf"out holds another comparison. It differs in {words}.*--out"):
        keep_comparison(comparison(tmp_path, **other))


def test_another_setting_of_a_method_is_refused_by_name(tmp_path):
    plan = comparison(tmp_path)
    keep_comparison(plan)
    with pytest.raises(ValueError, match=r"differs in trainer.max_epochs of single \(8 there, 9 here\)\. Give"):
        keep_comparison(changed(plan, max_epochs=9))


def test_a_method_on_other_images_cannot_join(tmp_path):
    keep_comparison(comparison(tmp_path, names=["single"]))
    other = method(tmp_path, "maxl", data={"num_train": 100})
    with pytest.raises(ValueError, match=r"another comparison. It differs in data.num_train \(200 there, 100 here"):
        keep_comparison(dataclasses.replace(comparison(tmp_path), methods=(other,)))


def test_more_methods_and_what_only_shows_may_join(tmp_path):
    plan = comparison(tmp_path, names=["single"])
    keep_comparison(plan)
    keep_comparison(changed(plan, logger={"class_path": "WandbLogger"}, log_every_n_steps=3))
    keep_comparison(comparison(tmp_path, names=["maxl"], words=("--data.num_workers", "2")))
    kept = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert list(kept["methods"]) == ["single", "maxl"]


def test_files_of_another_origin_are_left_alone(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    keep_comparison(comparison(tmp_path))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "runs.csv").write_text("theirs")
    with pytest.raises(ValueError, match=r"other holds runs.csv of another origin"):
        keep_comparison(comparison(tmp_path, out="other"))
    with pytest.raises(ValueError, match=r"single.yaml is not a folder"):
        keep_comparison(comparison(tmp_path, out="single.yaml"))
