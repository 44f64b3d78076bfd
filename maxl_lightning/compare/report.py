"""Tables and figures of a comparison, made from what its runs have left."""

import os
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from maxl_lightning.compare.figures import accuracy_figure, points_figure
from maxl_lightning.compare.plan import Comparison, Run, run_folder
from maxl_lightning.compare.results import collect
from maxl_lightning.compare.settings import Method
from maxl_lightning.compare.statistics import summarise
from maxl_lightning.compare.store import load_methods
from maxl_lightning.compare.tables import make_tables, markdown, notes, rich_table
from maxl_lightning.files import replacing

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["report"]

REFERENCES = ("single", "uniform")
"""The baseline, and the control that the paper lacks: what the others are compared with unless asked otherwise."""

ORDER = ("single", "uniform", "random", "kmeans", "human", "frozen")
"""The baseline and the controls come first, learned labels last."""


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
    if curves.empty:
        console.print("no run is finished: there is nothing to report")
        return
    methods = list(dict.fromkeys(curves["method"]))
    chosen = [name for name in (REFERENCES if references is None else references) if name in methods]
    summary = summarise(table, methods, chosen)
    _write(comparison.out, {"runs": table, "curves": curves, "summary": summary}, methods)
    tables, remarks = make_tables(table, summary), [*notes(table), circumstances(table, comparison.threads)]
    commands = "\n".join(run.shown(resume=False) for run in runs)
    with replacing(comparison.out / "summary.md") as part:
        part.write_text("\n\n".join([*map(markdown, tables), *remarks, f"```bash\n{commands}\n```\n"]))
    console.print(*map(rich_table, tables), *remarks, sep="\n", highlight=False)
    console.print(f"tables and figures: {comparison.out.resolve()}", soft_wrap=True, highlight=False)


def _write(out: Path, frames: dict[str, "pd.DataFrame"], methods: Sequence[str]) -> None:
    for name, frame in frames.items():
        with replacing(out / f"{name}.csv") as part:
            frame.to_csv(part, index=False)
    figures = {
        "accuracy": accuracy_figure(frames["curves"], methods),
        "bars": points_figure(frames["runs"], methods),
    }
    for name, figure in figures.items():
        with replacing(out / f"{name}.png") as part:
            figure.savefig(part, dpi=150)


def circumstances(table: "pd.DataFrame", threads: int) -> str:
    """Say how many runs there were, how long they took and with what."""
    finished = table[table["finished"]]
    return (
        f"{len(finished)} runs of {finished['seconds'].mean():.0f} seconds on average, each a process of {threads} "
        f"thread(s); {os.cpu_count()} CPU cores, torch {version('torch')}, maxl-lightning {version('maxl-lightning')}."
    )


def known_runs(comparison: Comparison) -> list[Run]:
    """Return the runs that were asked for and those that the folder holds from before, by method and seed."""
    asked = {method.name: method for method in comparison.methods}
    methods = sorted({**load_methods(comparison.out), **asked}.values(), key=_place)
    return [
        comparison.run(method, seed)
        for method in methods
        for seed in sorted({*_seeds(comparison.out, method.name), *(comparison.seeds if method.name in asked else ())})
    ]


def _place(method: Method) -> int:
    return ORDER.index(method.name) if method.name in ORDER else len(ORDER)


def _seeds(out: Path, method: str) -> list[int]:
    names = (folder.name.removeprefix("seed_") for folder in run_folder(out, method, 0).parent.glob("seed_*"))
    return [int(name) for name in names if name.isdecimal()]  # a copy that someone made is none of ours
