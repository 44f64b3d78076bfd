"""Numbers over epochs, with a picture of them now and then."""

from abc import ABC
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from maxl_lightning.callbacks.picture import Picture
from maxl_lightning.datasets.arguments import check_at_least

__all__ = ["Curve"]


class Curve(Picture, ABC):
    """Base of the callbacks that log numbers more often than they draw, and draw them over epochs.

    The numbers are part of the checkpoint: the curve of a resumed run begins where the run began.

    Args:
        log_every_n_epochs: epochs from one measurement to the next.
        options: of :class:`~maxl_lightning.callbacks.Picture`.

    Attributes:
        history: the numbers logged, by epochs finished and by name.

    Raises:
        ValueError: if an argument is out of its range.
    """

    def __init__(self, log_every_n_epochs: int = 1, **options: Any) -> None:
        super().__init__(**options)
        check_at_least(1, log_every_n_epochs=log_every_n_epochs)
        self.log_every_n_epochs = log_every_n_epochs

    def _begin(self) -> None:
        super()._begin()
        self.history: dict[int, dict[str, float]] = {}

    def logs(self, epoch: int) -> bool:
        """Say whether to measure at the end of an epoch that gets no picture."""
        return epoch % self.log_every_n_epochs == 0

    def _look(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, float]:
        numbers = super()._look(trainer, pl_module)
        if numbers:
            self.history[self._finished] = numbers
        return numbers

    def state_dict(self) -> dict[str, Any]:
        """Return the numbers so far."""
        return {"history": self.history}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the numbers of the run that is resumed."""
        self.history = dict(state_dict["history"])

    def plot(self, axes: Axes, name: str, **style: Any) -> None:
        """Draw one of the numbers over epochs, with a mark where a line would have no length."""
        epochs = [epoch for epoch in sorted(self.history) if name in self.history[epoch]]
        marker = "o" if len(epochs) < 2 else ""
        axes.plot(epochs, [self.history[epoch][name] for epoch in epochs], marker=marker, **style)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))


def frame(axes: Axes, title: str, xlabel: str, ylabel: str) -> None:
    """Give axes their words, and take away the lines that say nothing."""
    axes.set_title(title, fontsize="medium")
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.spines[["top", "right"]].set_visible(False)
