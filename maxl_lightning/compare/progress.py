"""What a comparison shows while it runs: each start and end, and bars on a terminal."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from maxl_lightning.compare.metrics import latest_epoch
from maxl_lightning.compare.plan import Run

__all__ = ["RunProgress"]


class RunProgress(Progress):
    """A bar over the runs, and below it one over the epochs of each run that is being trained.

    Args:
        total: number of runs.
        console: shows them.
    """

    def __init__(self, total: int, console: Console) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        super().__init__(*columns, console=console)
        self._runs = self.add_task("runs", total=total)
        self._running: dict[TaskID, Run] = {}

    def say(self, text: str) -> None:
        """Print a line above the bars, such that a command can be copied."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def started(self, run: Run) -> None:
        """Show a run's epochs from now on."""
        self._running[self.add_task(run.name, total=run.method.trainer.get("max_epochs"))] = run

    def ended(self, run: Run, done: bool) -> None:
        """Show a run's epochs no longer.

        Args:
            run: which.
            done: whether it counts as one of those that are through.
        """
        for task in [task for task, running in list(self._running.items()) if running is run]:
            del self._running[task]
            self.remove_task(task)
        self.advance(self._runs, done)

    def look(self) -> None:
        """Look how far the runs are."""
        for task, run in list(self._running.items()):
            if (epoch := latest_epoch(run.folder)) is not None:
                self.update(task, completed=epoch + 1)
