"""All runs, some at a time, with progress; one that fails does not keep the others from going on."""

import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from maxl_lightning.compare.plan import Run
from maxl_lightning.compare.process import Outcome, Stop, last_lines, train

__all__ = ["train_all"]


def train_all(runs: Sequence[Run], jobs: int, console: Console) -> list[Outcome]:
    """Train the runs, ``jobs`` at a time, and return how each ended.

    SIGINT and SIGTERM are handed to the processes; those that have not started then never do.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    outcomes: list[Outcome] = []
    with Progress(*columns, console=console) as progress, ThreadPoolExecutor(jobs) as pool, stoppable(console) as stop:
        bar = progress.add_task("runs", total=len(runs))
        waiting: set[Future[Outcome]] = {pool.submit(train, run, stop, _sayer(console)) for run in runs}
        while waiting:
            done, waiting = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
            for future in done:
                outcome = future.result()
                outcomes.append(outcome)
                progress.update(bar, advance=outcome.state != "stopped")
                _report(outcome, console)
    return outcomes


def _sayer(console: Console):
    return lambda text: console.print(text, markup=False, highlight=False, soft_wrap=True)


def _report(outcome: Outcome, console: Console) -> None:
    if outcome.state != "failed":
        return
    log = outcome.run.log
    console.print(f"[bold red]failed[/]: {outcome.run.name} ({outcome.reason}). The end of {log}:", soft_wrap=True)
    console.print(last_lines(log), markup=False, highlight=False, soft_wrap=True)


@contextmanager
def stoppable(console: Console) -> Iterator[Stop]:
    """Turn SIGINT and SIGTERM into a stop for a block; a second one stops at once."""
    stop = Stop()

    def handle(number: int, frame: FrameType | None) -> None:
        (stop.at_once if stop.asked.is_set() else stop.asked).set()

    if current_thread() is not main_thread():  # where Python allows no handlers
        yield stop
        return
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
