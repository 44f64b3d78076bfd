"""The process of a run: started, watched, stopped."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Literal

from maxl_lightning.compare.attempt import begin, finish, is_finished
from maxl_lightning.compare.lock import held, holder, sign, try_lock
from maxl_lightning.compare.plan import Run

__all__ = ["Outcome", "Stop", "train"]

PATIENCE = 60.0
"""Seconds that a process has to end after it was asked to."""


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


class Stop:
    """What the threads that watch processes are told."""

    def __init__(self) -> None:
        self.asked = Event()
        self.at_once = Event()


def train(run: Run, stop: Stop, say: Callable[[str], None]) -> Outcome:
    """Make sure that a run is finished: in a process of its own, unless it is already.

    Args:
        run: what to train.
        stop: ends the process early.
        say: is told what happens.
    """
    if stop.asked.is_set():
        return Outcome(run, "stopped")
    with held(run.folder / "lock") as lock:
        if not _wait_for(lock, run, stop, say):
            return Outcome(run, "stopped")
        if is_finished(run):
            return Outcome(run, "finished")
        start = begin(run)
        say(f"{run.name}{': ' if start.note else ''}{start.note}\n  {run.shown(start.resume)}")
        status = _execute(run.command(start.resume), run, lock, stop)
        if status == 0:
            finish(run)
            return Outcome(run, "finished")
        if stop.asked.is_set():
            return Outcome(run, "stopped")
        return Outcome(run, "failed", f"exit status {status}")


def _wait_for(lock: int, run: Run, stop: Stop, say: Callable[[str], None]) -> bool:
    """Wait for a process that an earlier comparison left behind, and say whether its lock is ours."""
    said = False
    while not try_lock(lock):
        if not said:
            say(f"{run.name} is still trained by {holder(lock)}: waiting for it")
            said = True
        if stop.asked.wait(0.5):
            return False
    return True


def _execute(command: list[str], run: Run, lock: int, stop: Stop) -> int:
    """Run a command to its end, its output in the run's log, and return its exit status."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(run.threads)}
    with run.log.open("ab") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,  # a group of its own, with the processes that it starts; Ctrl-C reaches us alone
            pass_fds=(lock,),
        )
    sign(lock, f"process {process.pid} on {os.uname().nodename}")
    try:
        while process.poll() is None:
            if stop.asked.wait(0.1):
                return _end(process, stop)
    finally:
        if process.poll() is None:
            _signal(process, signal.SIGKILL)
    return process.returncode


def _end(process: "subprocess.Popen[bytes]", stop: Stop) -> int:
    """Ask a process to end, insist after a while, and return its exit status."""
    _signal(process, signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None:
        if stop.at_once.wait(0.1) or time.monotonic() > deadline:
            _signal(process, signal.SIGKILL)
            process.wait()
    return process.returncode


def _signal(process: "subprocess.Popen[bytes]", number: int) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass


def last_lines(path: Path, count: int = 12) -> str:
    """Return the end of a log."""
    lines = path.read_text(errors="replace").rstrip().splitlines() if path.is_file() else []
    return "\n".join(lines[-count:])
