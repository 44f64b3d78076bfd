"""One attempt at a run: whether it is needed, where it begins, and what it leaves."""

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import Any

from maxl_lightning.compare.metrics import archive, curve, epochs_tested, measured
from maxl_lightning.compare.plan import Run
from maxl_lightning.compare.settings import Method
from maxl_lightning.compare.store import read_json, write_json
from maxl_lightning.files import replacing

__all__ = ["Start", "begin", "check_unchanged", "digest", "finish", "is_finished"]


@dataclass(frozen=True)
class Start:
    """Where an attempt begins.

    Args:
        resume: whether it goes on from the last checkpoint.
        note: what there is to say about it; empty if nothing.
    """

    resume: bool
    note: str = ""


def is_finished(run: Run) -> bool:
    """Say whether the run has its results."""
    return (run.folder / "run.json").is_file()


def digest(config: str) -> str:
    """Return the digest of a configuration file's content."""
    return hashlib.sha256(Path(config).read_bytes()).hexdigest()


def check_unchanged(method: Method) -> None:
    """Refuse a configuration file that is no longer the one that was checked.

    Raises:
        ValueError: if it was edited meanwhile.
    """
    if digest(method.config) != method.digest:
        raise ValueError(f"{method.config} has changed since the comparison was started: give the command again.")


def begin(run: Run) -> Start:
    """Prepare the folder for another attempt, and say where it begins."""
    start = _start(run)
    run.folder.mkdir(parents=True, exist_ok=True)
    if not start.resume and (run.folder / "checkpoints").is_dir():
        rmtree(run.folder / "checkpoints")
    attempts = closed(_attempts(run), run.folder)
    archive(run.folder)
    write_json(run.folder / "attempts.json", [*attempts, {"started": time.time(), "ended": None}])
    return start


def _start(run: Run) -> Start:
    if not run.checkpoint.is_file():
        return Start(resume=False)
    try:
        epoch = finished_epoch(run.checkpoint)
    except Exception as error:  # whatever torch says about a damaged file
        reason = str(error).partition("\n")[0]
        return Start(False, f"{run.checkpoint} cannot be read ({reason}): the run starts anew")
    every = run.method.tested_every
    owed = {e for e in range(epoch + 1) if (e + 1) % every == 0} - epochs_tested(run.folder)
    if owed:
        return Start(False, f"epoch {min(owed)} is in the checkpoint but not in metrics.csv: the run starts anew")
    return Start(True, f"goes on after epoch {epoch}")


def finished_epoch(checkpoint: Path) -> int:
    """Return the Trainer's epoch, from 0, that a checkpoint was taken at the end of."""
    import torch

    return int(torch.load(checkpoint, weights_only=True, map_location="cpu")["epoch"])


def finish(run: Run) -> None:
    """Write the run's results, after which it is never run again.

    Raises:
        ValueError: if the run has not left any.
    """
    epochs = curve(measured(run.folder), run.method.alternating)
    if not epochs["test_accuracy"].notna().any():
        raise ValueError(f"{run.name} ended without an accuracy on the test images in {run.folder / 'metrics.csv'}.")
    attempts = closed(_attempts(run), run.folder)
    with replacing(run.folder / "curve.csv") as part:
        epochs.to_csv(part, index=False)
    seconds = sum(attempt["ended"] - attempt["started"] for attempt in attempts)
    result = {"method": run.method.name, "seed": run.seed, "attempts": len(attempts), "seconds": round(seconds, 1)}
    write_json(run.folder / "run.json", {**result, "command": run.shown(resume=False)})


def _attempts(run: Run) -> list[dict[str, Any]]:
    return read_json(run.folder / "attempts.json") or []


def closed(attempts: list[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    """Return the attempts with the end of the last one: the last that its process is known to have written."""
    traces = [path.stat().st_mtime for path in (folder / "metrics.csv", folder / "log.txt") if path.is_file()]
    return [
        attempt if attempt["ended"] else {**attempt, "ended": max([attempt["started"], *traces])}
        for attempt in attempts
    ]
