"""A process: started, waited for, ended early."""

import contextlib
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Event

from maxl_lightning.compare.lock import sign

__all__ = ["Stop", "execute", "last_lines"]

PATIENCE = 60.0
"""Seconds that a process has to end after it was asked to."""


class Stop:
    """What those who wait for processes are told: to end them, and not to wait for that.

    Attributes:
        asked: processes are to end.
        at_once: whatever they are doing.
    """

    def __init__(self) -> None:
        self.asked = Event()
        self.at_once = Event()


def execute(command: Sequence[str], log: Path, lock: int, threads: int, stop: Stop) -> int:
    """Run a command to its end, and return its exit status.

    Args:
        command: its words.
        log: file that its output is added to.
        lock: descriptor of a lock, which the process keeps for as long as it lives.
        threads: for OpenMP.
        stop: ends the process early.
    """
    with log.open("ab") as stream:
        stream.write(f"$ {shlex.join(command)}\n".encode())
        stream.flush()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            # as `maxl` does, leave out what this folder has of the names of modules
            env={**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONSAFEPATH": "1"},
            start_new_session=True,  # a group with the processes that it starts, which Ctrl-C does not reach
            pass_fds=(lock,),
        )
    try:
        sign(lock, f"process {process.pid} on {os.uname().nodename}")
        while process.poll() is None:
            if stop.asked.wait(0.1):
                return _end(process, stop)
    except BaseException:
        _signal(process, signal.SIGKILL)
        raise
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
    with contextlib.suppress(ProcessLookupError):  # the whole group has ended
        os.killpg(process.pid, number)


def last_lines(log: Path, count: int = 12) -> str:
    """Return the end of a log."""
    lines = log.read_text(errors="replace").rstrip().splitlines() if log.is_file() else []
    return "\n".join(lines[-count:])
