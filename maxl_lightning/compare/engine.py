"""A comparison from its beginning to its table."""

from collections.abc import Sequence

from rich.console import Console

from maxl_lightning.compare.attempt import is_finished
from maxl_lightning.compare.plan import Comparison
from maxl_lightning.compare.report import report
from maxl_lightning.compare.schedule import train_all
from maxl_lightning.compare.store import keep_comparison
from maxl_lightning.compare.worker import Outcome

__all__ = ["compare"]


def compare(comparison: Comparison, jobs: int, references: Sequence[str] | None, console: Console) -> int:
    """Train what is not trained yet, report all results, and return the exit status.

    Args:
        comparison: methods and seeds.
        jobs: processes at a time.
        references: methods that all others are compared with; ``None`` for single task and uniform labels.
        console: prints.

    Raises:
        ValueError: if the folder holds another comparison.
    """
    keep_comparison(comparison)
    runs = comparison.runs()
    owed = [run for run in runs if not is_finished(run)]
    console.print(f"{len(runs)} runs, {len(runs) - len(owed)} of them finished already")
    outcomes = train_all(owed, jobs, console) if owed else []
    report(comparison, references, console)
    return _status(outcomes, console)


def _status(outcomes: Sequence[Outcome], console: Console) -> int:
    """Say what is missing, and return the exit status: 130, as after Ctrl-C, if runs were stopped."""
    failed = [outcome.run for outcome in outcomes if outcome.state == "failed"]
    for run in failed:
        console.print(f"failed: {run.name}, see {run.log}", soft_wrap=True, highlight=False)
    stopped = [outcome for outcome in outcomes if outcome.state == "stopped"]
    if stopped:
        console.print(f"stopped with {len(stopped)} runs to do: the same command goes on where they were")
        return 130
    return 1 if failed else 0
