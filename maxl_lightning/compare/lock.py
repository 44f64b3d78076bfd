"""One process at a time for each run, even if the comparison that started it is gone."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["held", "holder", "try_lock"]


@contextmanager
def held(path: Path) -> Iterator[int]:
    """Open a lock file for a block, and give its descriptor; whoever inherits that keeps the lock, too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def try_lock(descriptor: int) -> bool:
    """Take the lock unless another process has it, and say whether it is ours."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def holder(descriptor: int) -> str:
    """Return what the lock's holder has written into the file about itself."""
    return os.pread(descriptor, 100, 0).decode() or "another process"


def sign(descriptor: int, text: str) -> None:
    """Write into the file who holds the lock."""
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(), 0)
