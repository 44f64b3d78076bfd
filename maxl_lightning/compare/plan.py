"""What a comparison consists of, and where its parts lie."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from maxl_lightning.compare.command import fit_words
from maxl_lightning.compare.settings import Method

__all__ = ["Comparison", "Run", "run_folder"]

PROGRAM = (sys.executable, "-m", "maxl_lightning")
"""What ``maxl`` is called by, whether or not it is on the path."""


@dataclass(frozen=True)
class Comparison:
    """Methods and seeds, and what holds for all of their runs.

    Args:
        out: folder of the comparison.
        methods: what is compared, in the order of tables and figures.
        seeds: a run of each method has each of them.
        words: further words of the command line of all runs.
        new_splits: whether the seed decides the splits of the data, too.
        threads: threads of each process.
    """

    out: Path
    methods: tuple[Method, ...]
    seeds: tuple[int, ...]
    words: tuple[str, ...] = ()
    new_splits: bool = False
    threads: int = 1

    def run(self, method: Method, seed: int) -> "Run":
        """Return one of the runs."""
        folder = run_folder(self.out, method.name, seed)
        words = fit_words(method, seed, folder, self.new_splits, self.words)
        return Run(method, seed, folder, tuple(words), self.threads)

    def runs(self) -> list["Run"]:
        """Return all runs, seed by seed, so that an early look at the results compares all methods."""
        return [self.run(method, seed) for seed in self.seeds for method in self.methods]


@dataclass(frozen=True)
class Run:
    """One method with one seed.

    Args:
        method: what is trained.
        seed: of ``seed_everything``.
        folder: of all that the run leaves.
        words: of its command line, after ``maxl``.
        threads: of its process.
    """

    method: Method
    seed: int
    folder: Path
    words: tuple[str, ...]
    threads: int

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"{self.method.name}, seed {self.seed}"

    @property
    def checkpoint(self) -> Path:
        """The last finished epoch."""
        return self.folder / "checkpoints" / "last.ckpt"

    @property
    def log(self) -> Path:
        """What the process printed."""
        return self.folder / "log.txt"

    def command(self, resume: bool) -> list[str]:
        """Return the command line that starts the run, or goes on with it."""
        return [*PROGRAM, *self._all_words(resume)]

    def shown(self, resume: bool) -> str:
        """Return the same command as one would type it."""
        return f"OMP_NUM_THREADS={self.threads} {shlex.join(['maxl', *self._all_words(resume)])}"

    def _all_words(self, resume: bool) -> Sequence[str]:
        return (*self.words, "--ckpt_path", str(self.checkpoint)) if resume else self.words


def run_folder(out: Path, method: str, seed: int) -> Path:
    """Return the folder of a run: where its logger writes."""
    return out / "runs" / method / f"seed_{seed}"
