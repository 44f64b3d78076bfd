"""A loader that resumes in the middle of an epoch."""

from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader

from maxl_lightning.datamodules.sampler import EpochSampler

__all__ = ["EpochLoader"]


class EpochLoader(DataLoader[Any]):
    """A ``DataLoader`` over an :class:`EpochSampler` whose position is part of Lightning's checkpoints.

    Lightning stores the ``state_dict`` of any loader that has one. Without it, a run that stopped in the middle
    of an epoch would begin that epoch again and show some images twice and others not at all.

    It takes ``DataLoader``'s arguments.
    """

    # class attributes, since Lightning builds loaders anew from DataLoader's own arguments
    _position: tuple[int, int] = (0, 0)
    _resume_at: tuple[int, int] | None = None

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]  # DataLoader promises its private iterator
        # A generator, so that workers start with the first batch: Lightning asks for the first iterator before it
        # tells the sampler the epoch, and workers read ahead at once (FitLoop.setup_data, on_advance_start).
        epoch = getattr(self.sampler, "epoch", 0)
        first = self._first_batch(epoch)
        for number, batch in enumerate(super().__iter__(), start=first + 1):
            self._position = (epoch, number)
            yield batch

    def _first_batch(self, epoch: int) -> int:
        resume_at, self._resume_at = self._resume_at, None
        if not isinstance(self.sampler, EpochSampler) or self.batch_size is None or resume_at is None:
            return 0
        resumed_epoch, batches = resume_at
        # a checkpoint of an epoch's end is followed by another epoch; it then begins at its first batch
        first = batches if resumed_epoch == epoch else 0
        self.sampler.skip = first * self.batch_size
        return first

    def state_dict(self) -> dict[str, int]:
        """Return the epoch and how many of its batches have been given out."""
        epoch, batches = self._position
        return {"epoch": epoch, "batches": batches}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Let the next iteration go on after the batches that were given out, if it is of the same epoch."""
        self._resume_at = (state_dict["epoch"], state_dict["batches"])
