"""Tables and figures say what the runs have reached, and what is missing."""

import math

import pandas as pd
import pytest
from comparisons import comparison
from matplotlib.colors import to_hex

from maxl_lightning.compare.colours import PALETTE, colours
from maxl_lightning.compare.figures import accuracy_figure, points_figure
from maxl_lightning.compare.report import known_runs
from maxl_lightning.compare.results import COLUMNS
from maxl_lightning.compare.statistics import statistics, summarise
from maxl_lightning.compare.tables import make_tables, markdown, notes

NAN = math.nan


def table(**accuracies):
    rows = [
        {"method": method, "seed": seed, "finished": value is not None, "test_accuracy": value, "train_accuracy": 1.0,
         "averaged_epochs": None if value is None else 5}
        for method, values in accuracies.items() for seed, value in enumerate(values)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"test_accuracy": float})


def curves(epochs=20, seeds=3, **levels):
    rows = [
        {"method": method, "seed": seed, "epoch": epoch, "test_accuracy": level - 0.5 * 0.7**epoch + 0.01 * seed}
        for method, level in levels.items() for seed in range(seeds) for epoch in range(1, epochs + 1)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def both(runs, references):
    return make_tables(runs, summarise(runs, list(dict.fromkeys(runs["method"])), references))


def test_the_table_in_markdown():
    runs = table(single=[0.5, 0.6, 0.7], maxl=[0.6, 0.65, 0.9])
    methods, differences = map(markdown, both(runs, ["single"]))
    assert methods.splitlines()[0] == "Test accuracy in %, mean of the last 5 tested epochs"
    assert "| method | test | std | 95 % interval | n | train |" in methods
    assert "| single | 60.00 | 10.00 | 35.16 to 84.84 | 3 | 100.00 |" in methods
    assert "| maxl − single | +11.67 | 7.64 | -7.31 to +30.64 | 3 |" in differences
    assert differences.startswith("Differences in percentage points, paired by seed")


def test_what_is_missing_is_said():
    runs = table(single=[0.5, 0.6], maxl=[None, 0.65])
    methods, differences = map(markdown, both(runs, ["single"]))
    assert "| maxl | 65.00 | – | – | 1 |" in methods
    assert "| maxl − single | +5.00 | – | – | 1 |" in differences
    missing, one = notes(runs)
    assert missing == "Not finished, and left out: maxl, seed 0."
    assert "One seed says nothing about the spread" in one
    assert notes(table(single=[0.5, 0.6])) == []


def test_without_a_reference_there_are_no_differences():
    assert len(both(table(frozen=[0.5, 0.6], maxl=[0.6, 0.7]), [])) == 1


def test_baseline_and_controls_come_first(tmp_path):
    plan = comparison(tmp_path, names=["maxl", "mine", "uniform", "single"], seeds=1)
    assert [run.method.name for run in known_runs(plan)] == ["single", "uniform", "maxl", "mine"]


def test_folders_of_another_name_are_no_runs(tmp_path):
    plan = comparison(tmp_path, names=["single"], seeds=1)
    for name in ("seed_0", "seed_3", "seed_3_old", "seed_"):
        (plan.out / "runs" / "single" / name).mkdir(parents=True)
    assert [run.seed for run in known_runs(plan)] == [0, 3]


def test_colours_are_a_methods_own_and_the_same_in_both_figures():
    names = ["single", "maxl", "mine"]
    (axes,) = accuracy_figure(curves(single=0.7, maxl=0.8, mine=0.9), names).axes
    (points,) = points_figure(table(single=[0.5, 0.6], maxl=[0.6, 0.7], mine=[0.7, 0.8]), names).axes
    drawn = {line.get_label(): to_hex(line.get_color()) for line in axes.lines}
    assert drawn == {name: colours(names)[name].lower() for name in names}
    means = [line for line in points.lines if line.get_marker() == "D"]
    assert [to_hex(line.get_color()) for line in means] == [colours(names)[name].lower() for name in names]
    assert colours(["maxl"])["maxl"] == PALETTE["maxl"]
    assert len(set(colours([*PALETTE, "a", "b", "c"]).values())) == len(PALETTE) + 3


def test_the_curve_and_its_band_are_mean_and_interval():
    frame = curves(single=0.7, maxl=0.8)
    frame.loc[(frame["epoch"] % 2 == 1), "test_accuracy"] = NAN  # tested every second epoch
    (axes,) = accuracy_figure(frame, ["single", "maxl"]).axes
    line, band = axes.lines[1], axes.collections[1].get_paths()[0].vertices
    assert line.get_xdata().tolist() == list(range(2, 21, 2))
    for epoch in (2, 20):
        values = 100 * frame[(frame["method"] == "maxl") & (frame["epoch"] == epoch)]["test_accuracy"]
        row = statistics(values)
        assert line.get_ydata()[epoch // 2 - 1] == pytest.approx(row["mean"])
        edges = band[band[:, 0] == epoch][:, 1]
        assert (edges.min(), edges.max()) == pytest.approx((row["low"], row["high"]))
    assert "mean of 3 seeds" in axes.figure.get_suptitle()


def test_the_axis_tells_the_methods_apart():
    """Both begin far below, and the bands of two seeds are twelve deviations wide."""
    (axes,) = accuracy_figure(curves(epochs=100, seeds=2, single=0.7, maxl=0.72), ["single", "maxl"]).axes
    low, high = axes.get_ylim()
    assert 69 < low < 71
    assert 72 < high < 74


def test_many_methods_have_a_panel_each():
    """With the band of its own method alone, and the others' means behind it."""
    names = ["single", "uniform", "random", "frozen", "maxl"]
    frame = curves(**{name: 0.7 + 0.01 * i for i, name in enumerate(names)})
    figure = accuracy_figure(frame[(frame["method"] != "maxl") | (frame["seed"] == 0)], names)
    panels = [axes for axes in figure.axes if axes.lines]
    assert len(panels) == 5
    for name, axes in zip(names, panels, strict=True):
        assert [text.get_text() for text in axes.get_legend().get_texts()] == [name]
        assert len(axes.lines) == 5
        assert len(axes.collections) == 1
        assert axes.get_ylim() == panels[0].get_ylim()
    assert "mean of 1 to 3 seeds" in figure.get_suptitle()


def test_one_seed_is_drawn_without_a_band():
    figure = accuracy_figure(curves(epochs=3, seeds=1, single=0.7), ["single"])
    assert "one seed" in figure.get_suptitle()
    (points,) = points_figure(table(single=[0.7], maxl=[None]), ["single", "maxl"]).axes
    assert [label.get_text() for label in points.get_yticklabels()] == ["single, 1 seed", "maxl, 0 seeds"]
    figure.savefig("/dev/null", format="png")
    points.figure.savefig("/dev/null", format="png")
