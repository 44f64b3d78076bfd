"""All runs, some at a time; one that fails does not keep the others from going on."""

import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType

from rich.console import Console

from maxl_lightning.compare.plan import Run
from maxl_lightning.compare.process import Stop, last_lines
from maxl_lightning.compare.progress import RunProgress
from maxl_lightning.compare.results import accuracy_of
from maxl_lightning.compare.worker import Outcome, train

__all__ = ["train_all"]


def train_all(runs: Sequence[Run], jobs: int, console: Console) -> list[Outcome]:
    """Train the runs, ``jobs`` at a time, and return how each ended.

    SIGINT and SIGTERM are handed to the processes; runs that have not started then never do.
    """
    outcomes: list[Outcome] = []
    said = False
    with stoppable() as stop, RunProgress(len(runs), console) as progress, ThreadPoolExecutor(jobs) as pool:
        waiting = {pool.submit(train, run, stop, progress) for run in runs}
        try:
            while waiting:
                done, waiting = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
                for outcome in [future.result() for future in done]:
                    outcomes.append(outcome)
                    progress.ended(outcome.run, done=outcome.state != "stopped")
                    _report(outcome, progress)
                progress.look()
                if stop.asked.is_set() and not said:
                    progress.say("stopping: the processes are asked to end; a second Ctrl-C ends them at once")
                    said = True
        finally:
            stop.asked.set()  # an error here ends the processes, too
    return outcomes


def _report(outcome: Outcome, progress: RunProgress) -> None:
    run = outcome.run
    if outcome.state == "finished":
        progress.say(f"{run.name}: finished, test accuracy {100 * accuracy_of(run):.2f} %")
    if outcome.state == "failed":
        progress.say(f"{run.name}: FAILED, {outcome.reason}. The end of {run.log}:\n{last_lines(run.log)}")


@contextmanager
def stoppable() -> Iterator[Stop]:
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
