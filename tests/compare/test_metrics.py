"""Rows of several attempts make one curve; in the alternating order two of the Trainer's epochs make one."""

import pandas as pd
import pytest

from maxl_lightning.compare.metrics import archive, curve, epochs_tested, latest_epoch, measured


def write(folder, name, rows, end="\n"):
    columns = sorted({key for row in rows for key in row})
    lines = [",".join(columns), *(",".join(str(row.get(column, "")) for column in columns) for row in rows)]
    (folder / name).write_text("\n".join(lines) + end)


def test_what_a_later_attempt_did_again_is_taken_from_that_one(tmp_path):
    """The first was killed in epoch 2, whose batches the second saw again; the third began anew in epoch 1."""
    first = [{"epoch": e, "test/accuracy": e / 10, "train/label_entropy": 1} for e in (0, 1)]
    write(tmp_path, "metrics_1.csv", [*first, {"epoch": 2, "train/label_entropy": 9}])
    second = [{"epoch": 2, "train/label_entropy": 2}, {"epoch": 2, "test/accuracy": 0.5}]
    write(tmp_path, "metrics_2.csv", second)
    assert measured(tmp_path)["train/label_entropy"].dropna().tolist() == [1, 1, 2]
    assert epochs_tested(tmp_path) == {0, 1, 2}
    write(tmp_path, "metrics.csv", [{"epoch": 1, "test/accuracy": 0.7}])
    rows = measured(tmp_path)
    assert rows["epoch"].max() == 1
    assert rows["test/accuracy"].dropna().tolist() == [0, 0.7]


def test_an_epoch_whose_end_alone_is_done_again_keeps_its_beginning(tmp_path):
    """From a checkpoint that was taken after validation, but before the test."""
    write(tmp_path, "metrics_1.csv", [{"epoch": 3, "train/label_entropy": 1}, {"epoch": 3, "val/accuracy": 0.5},
                                      {"epoch": 3, "test/accuracy": 0.1}])  # fmt: skip
    write(tmp_path, "metrics.csv", [{"epoch": 3, "test/accuracy": 0.2}, {"epoch": 4, "val/accuracy": 0.6}])
    first, second = curve(measured(tmp_path), alternating=False).to_dict("records")
    assert (first["label_entropy"], first["val_accuracy"], first["test_accuracy"]) == (1, 0.5, 0.2)
    assert second["val_accuracy"] == 0.6


def test_ten_attempts_are_read_in_their_order(tmp_path):
    for attempt in range(12):
        write(tmp_path, "metrics.csv", [{"epoch": 0, "test/accuracy": attempt / 100}])
        archive(tmp_path)
    assert measured(tmp_path)["test/accuracy"].dropna().tolist() == [0.11]


def test_half_a_row_is_none(tmp_path):
    """0.12 is the beginning of another number."""
    write(tmp_path, "metrics.csv", [{"epoch": 0, "test/accuracy": 0.9}, {"epoch": 1, "test/accuracy": 0.12}], end="")
    assert epochs_tested(tmp_path) == {0}


@pytest.mark.parametrize("content", [None, "", "epoch,test/accuracy", "epoch,test/accuracy\n", "step\n3\n"])
def test_nothing_is_measured_yet(tmp_path, content):
    if content is not None:
        (tmp_path / "metrics.csv").write_text(content)
    assert epochs_tested(tmp_path) == set()
    assert latest_epoch(tmp_path) is None
    assert curve(measured(tmp_path), alternating=False).empty


def test_the_latest_epoch_is_found_at_the_end_of_a_long_file(tmp_path):
    write(tmp_path, "metrics.csv", [{"epoch": e, "step": 7, "test/accuracy": 0.5} for e in range(2000)])
    assert latest_epoch(tmp_path) == 1998  # the last row may not be complete


def test_a_row_for_each_epoch(tmp_path):
    rows = [
        {"epoch": 0, "train/label_confidence": 0.2}, {"epoch": 0, "train/label_confidence": 0.4},
        {"epoch": 0, "val/accuracy": 0.5}, {"epoch": 0, "test/accuracy": 0.6, "train/accuracy": 0.7},
        {"epoch": 1, "test/accuracy": 0.8},
    ]  # fmt: skip
    write(tmp_path, "metrics.csv", rows)
    first, second = curve(measured(tmp_path), alternating=False).to_dict("records")
    assert first["epoch"] == 1
    assert [first[name] for name in ("val_accuracy", "test_accuracy", "train_accuracy")] == [0.5, 0.6, 0.7]
    assert first["label_confidence"] == pytest.approx(0.3)
    assert (second["epoch"], second["test_accuracy"]) == (2, 0.8)
    assert pd.isna(second["val_accuracy"])


def test_alternating_passes_are_pairs(tmp_path):
    """Training accuracy of θ1's pass, the others after θ2's; whatever was tested in between is not the paper's."""
    rows = [
        {
            "epoch": e,
            "test/accuracy": e / 10,
            "val/accuracy": e / 20,
            "train/accuracy": e / 30,
            "train/label_entropy": e,
        }
        for e in range(6)
    ]
    write(tmp_path, "metrics.csv", rows)
    epochs = curve(measured(tmp_path), alternating=True)
    assert epochs["epoch"].tolist() == [1, 2, 3]
    assert epochs["test_accuracy"].tolist() == [0.1, 0.3, 0.5]
    assert epochs["val_accuracy"].tolist() == [0.05, 0.15, 0.25]
    assert epochs["train_accuracy"].tolist() == [0, 2 / 30, 4 / 30]
    assert epochs["label_entropy"].tolist() == [0.5, 2.5, 4.5]
