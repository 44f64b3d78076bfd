"""What W&B has written of a run without a network."""

import time
from pathlib import Path


def content(folder: Path, *parts: bytes, seconds: float = 60) -> bytes:
    """Return a run's record once it holds all parts, or what there is of it when the time is over.

    W&B's service writes on its own, and on a busy machine ``wandb.finish()`` can return before it has.
    """
    (record,) = folder.glob("run-*.wandb")
    end = time.monotonic() + seconds
    while not all(part in record.read_bytes() for part in parts) and time.monotonic() < end:
        time.sleep(0.1)
    return record.read_bytes()
