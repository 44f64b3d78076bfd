"""Tables and figures of a comparison, made from what its runs have left."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from maxl_lightning.compare.figures import accuracy_figure, bar_figure
from maxl_lightning.compare.plan import Comparison, Run, run_folder
from maxl_lightning.compare.results import collect
from maxl_lightning.compare.settings import Method
from maxl_lightning.compare.statistics import summarise
from maxl_lightning.compare.store import load_methods, replacing
from maxl_lightning.compare.tables import markdown, rich_tables

__all__ = ["report"]

REFERENCES = ("single", "uniform")
"""The baseline and the control that the paper lacks: what the others are compared with unless asked otherwise."""


def report(comparison: Comparison, references: Sequence[str] | None, console: Console) -> None:
    """Write all tables and figures, and print the tables.

    Everything that the folder holds is reported, also methods and seeds that were not asked for now.

    Args:
        comparison: whose folder it is.
        references: methods that all others are compared with; ``None`` for single task and uniform labels.
        console: prints.
    """
    runs = known_runs(comparison)
    table, curves = collect(runs)
    out, methods = comparison.out, list(dict.fromkeys(table["method"]))
    if curves.empty:
        console.print("no run is finished: there is nothing to report")
        return
    chosen = [name for name in REFERENCES if name in methods] if references is None else list(references)
    summary = summarise(table, methods, chosen)
    for name, frame in (("runs", table), ("curves", curves), ("summary", summary)):
        with replacing(out / f"{name}.csv") as part:
            frame.to_csv(part, index=False)
    with replacing(out / "summary.md") as part:
        part.write_text(markdown(table, summary, [run.shown(resume=False) for run in runs]))
    figures = {"accuracy": accuracy_figure(curves, methods), "bars": bar_figure(table, methods)}
    for name, figure in figures.items():
        with replacing(out / f"{name}.png") as part:
            figure.savefig(part, dpi=150)
    console.print(*rich_tables(table, summary), sep="\n")
    console.print(f"tables and figures: {out.resolve()}", soft_wrap=True, highlight=False)


def known_runs(comparison: Comparison) -> list[Run]:
    """Return the runs that were asked for and those that the folder holds from before, by method and seed."""
    asked = {method.name: method for method in comparison.methods}
    methods = {**load_methods(comparison.out), **asked}
    return [
        comparison.run(method, seed)
        for method in ordered(list(methods.values()))
        for seed in sorted({*_seeds(comparison.out, method.name), *(comparison.seeds if method.name in asked else ())})
    ]


def ordered(methods: list[Method]) -> list[Method]:
    """Return the methods with the baseline and the controls first and learned labels last, as the paper lists them."""
    order = ("single", "uniform", "random", "kmeans", "human", "frozen", "maxl")
    return sorted(methods, key=lambda method: order.index(method.name) if method.name in order else len(order))


def _seeds(out: Path, method: str) -> list[int]:
    folders = run_folder(out, method, 0).parent.glob("seed_*")
    return [int(folder.name.removeprefix("seed_")) for folder in folders]
