"""One run, until it is finished, has failed or is stopped."""

from dataclasses import dataclass
from typing import Literal

from maxl_lightning.compare.attempt import begin, check_unchanged, finish, is_finished
from maxl_lightning.compare.lock import held, holder, try_lock
from maxl_lightning.compare.plan import Run
from maxl_lightning.compare.process import Stop, execute
from maxl_lightning.compare.progress import RunProgress

__all__ = ["Outcome", "train"]


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended.

    Args:
        run: what was attempted.
        state: ``"finished"``, ``"failed"`` or ``"stopped"``.
        reason: why it failed.
    """

    run: Run
    state: Literal["finished", "failed", "stopped"]
    reason: str = ""


def train(run: Run, stop: Stop, progress: RunProgress) -> Outcome:
    """Make sure that a run is finished: by a process of its own, unless it is already.

    Args:
        run: what to train.
        stop: ends the process early.
        progress: is told what happens.
    """
    try:
        with held(run.folder / "lock") as lock:
            if not _wait_for(lock, run, stop, progress):
                return Outcome(run, "stopped")
            return Outcome(run, "finished") if is_finished(run) else _attempt(run, lock, stop, progress)
    except (OSError, ValueError) as error:  # a full disk, a configuration that was edited: the others go on
        return Outcome(run, "failed", str(error))


def _wait_for(lock: int, run: Run, stop: Stop, progress: RunProgress) -> bool:
    """Wait for a process that another comparison has started, and say whether the lock is ours."""
    said = False
    while not stop.asked.is_set():
        if try_lock(lock):
            return True
        if not said:
            progress.say(f"{run.name} is still trained by {holder(lock)}: waiting for it")
            said = True
        stop.asked.wait(0.5)
    return False


def _attempt(run: Run, lock: int, stop: Stop, progress: RunProgress) -> Outcome:
    check_unchanged(run.method)
    start = begin(run)
    progress.say(f"{run.name}{': ' if start.note else ''}{start.note}\n  {run.shown(start.resume)}")
    progress.started(run)
    status = execute(run.command(start.resume), run.log, lock, run.threads, stop)
    if status == 0:
        finish(run)
        return Outcome(run, "finished")
    return Outcome(run, "stopped") if stop.asked.is_set() else Outcome(run, "failed", f"exit status {status}")
