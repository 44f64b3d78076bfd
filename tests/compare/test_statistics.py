"""Means, intervals and paired differences against scipy's own tests and hand-made numbers."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from maxl_lightning.compare.results import run_row
from maxl_lightning.compare.statistics import statistics, summarise


@pytest.mark.parametrize("n", [2, 3, 5, 30])
def test_mean_deviation_and_interval_are_scipys(n):
    values = np.random.default_rng(n).normal(0.7, 0.02, n)
    row = statistics(values)
    interval = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert row["n"] == n
    assert row["mean"] == pytest.approx(sum(values) / n)
    assert row["std"] == pytest.approx(math.sqrt(sum((values - values.mean()) ** 2) / (n - 1)))
    assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high))


def test_a_known_interval():
    """Student's t for four degrees of freedom is 2.776; the deviation of 1 to 5 is the root of 2.5."""
    row = statistics([1, 2, 3, 4, 5])
    assert row["high"] - row["mean"] == pytest.approx(2.776 * math.sqrt(2.5 / 5), abs=1e-3)


def test_one_value_has_no_interval_and_none_has_nothing():
    row = statistics([0.5])
    assert (row["n"], row["mean"]) == (1, 0.5)
    assert all(math.isnan(row[name]) for name in ("std", "low", "high"))
    assert statistics([])["n"] == 0
    assert math.isnan(statistics([])["mean"])


def table(**accuracies):
    rows = [
        {"method": method, "seed": seed, "test_accuracy": value}
        for method, values in accuracies.items()
        for seed, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


def test_differences_are_paired_by_seed():
    """The seeds vary much more than the methods do: only pairs show the difference."""
    single, uniform, maxl = [0.5, 0.6, 0.7, 0.9], [0.51, 0.62, 0.71, 0.92], [0.53, 0.61, 0.74, 0.93]
    summary = summarise(
        table(maxl=maxl, single=single, uniform=uniform), ["single", "uniform", "maxl"], ["single", "uniform"]
    )
    differences = summary[summary["kind"] == "difference"].to_dict("records")
    pairs = [(row["method"], row["reference"]) for row in differences]
    assert pairs == [("uniform", "single"), ("maxl", "single"), ("maxl", "uniform")]
    for row, (a, b) in zip(differences, [(uniform, single), (maxl, single), (maxl, uniform)], strict=True):
        interval = stats.ttest_rel(a, b).confidence_interval(0.95)
        assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high))
        assert row["mean"] == pytest.approx(np.mean(a) - np.mean(b))
        assert row["n"] == 4


def test_missing_runs_leave_the_pairs_that_both_have():
    nan = math.nan
    summary = summarise(table(single=[0.5, nan, 0.7, 0.8], maxl=[nan, 0.9, 0.75, 0.81]), ["single", "maxl"], ["single"])
    single, maxl, difference = summary.to_dict("records")
    assert (single["n"], maxl["n"], difference["n"]) == (3, 3, 2)
    assert single["mean"] == pytest.approx(2 / 3)
    assert difference["mean"] == pytest.approx(0.03)


def test_no_common_seed_gives_no_difference():
    summary = summarise(table(single=[0.5, math.nan], maxl=[math.nan, 0.9]), ["single", "maxl"], ["single"])
    assert summary["n"].tolist() == [1, 1, 0]


def epochs(test, val=None):
    count = len(test)
    return pd.DataFrame({
        "epoch": range(1, count + 1), "test_accuracy": test, "val_accuracy": val or [None] * count,
        "train_accuracy": [0.9] * count, "label_confidence": [math.nan] * count, "label_entropy": [1.5] * count,
    })  # fmt: skip


def test_the_last_five_epochs_tested_are_averaged():
    """Every second epoch is tested here."""
    test = [x for pair in zip([math.nan] * 7, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8], strict=True) for x in pair]
    row = run_row(epochs(test))
    assert row["test_accuracy"] == pytest.approx((0.3 + 0.4 + 0.5 + 0.6 + 0.8) / 5)
    assert (row["averaged_epochs"], row["test_accuracy_final"], row["epochs"]) == (5, 0.8, 14)
    assert row["label_confidence"] is None
    assert row["label_entropy"] == 1.5
    assert "test_accuracy_best_validation" not in row


def test_fewer_epochs_are_counted():
    row = run_row(epochs([0.2, 0.4]))
    assert (row["test_accuracy"], row["averaged_epochs"]) == (pytest.approx(0.3), 2)


def test_validation_chooses_the_first_of_equals_whatever_the_test_says():
    row = run_row(epochs([0.3, 0.1, 0.9, 0.5], val=[0.4, 0.8, 0.8, 0.6]))
    assert (row["best_validation_epoch"], row["test_accuracy_best_validation"]) == (2, 0.1)
    assert row["val_accuracy"] == 0.6
