"""A look at a module between epochs that training does not notice."""

import random
import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.seed import isolate_rng
from matplotlib.figure import Figure
from torch.utils.data import Dataset

from maxl_lightning.callbacks.figures import publish
from maxl_lightning.callbacks.sample import Sample, collate_of, find_class_names, training_images
from maxl_lightning.datasets.arguments import check_at_least
from maxl_lightning.hypergradient import MicroBatch
from maxl_lightning.modules import ClassificationModule

__all__ = ["Picture", "check_module", "finished_epochs"]


class Picture(Callback, ABC):
    """Base of the callbacks that look at a fixed sample of images with the weights of an epoch's end, and draw.

    With several processes the first one looks and draws, as it is the one whose batch statistics checkpoints keep;
    all log its numbers. Weights, buffers, train and eval flags, gradients and random numbers are afterwards what they
    were before.

    In the alternating order an epoch is a pair of passes, and ends after θ2's.

    Args:
        every_n_epochs: epochs from one picture to the next; the last epoch gets one in any case.
        num_images: images to look at, in equal numbers from each primary class. They stay in memory up to
            256 MiB, and are read again each time beyond that.
        batch_size: images in a forward pass.
        dataset: what to choose the images from: its items make batches that the module's ``unpack_batch`` takes
            apart. None stands for the training images: those of this package's data modules without augmentation,
            else the training loader's data set.
        class_names: names of the primary classes; None stands for the data's, or else numbers.
        name: of the pictures and their files; a second callback of the same class needs one of its own.

    Raises:
        ValueError: if an argument is out of its range.
    """

    needs_auxiliary_task = True

    def __init__(
        self,
        every_n_epochs: int = 20,
        num_images: int = 1000,
        batch_size: int = 100,
        dataset: Dataset[Any] | None = None,
        class_names: list[str] | None = None,
        name: str | None = None,
    ) -> None:
        check_at_least(1, every_n_epochs=every_n_epochs, num_images=num_images, batch_size=batch_size)
        self.every_n_epochs = every_n_epochs
        self.num_images = num_images
        self.batch_size = batch_size
        self.dataset = dataset
        self.class_names: Sequence[str] | None = class_names
        self.name = name or re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()
        self.names: tuple[str, ...] = ()
        self._begin()

    def _begin(self) -> None:
        self.sample: Sample | None = None
        self._finished = self._observed = self._drawn = 0  # epochs

    # What a callback defines

    @abstractmethod
    def observe(self, module: ClassificationModule, batches: Iterator[MicroBatch]) -> dict[str, float]:
        """Look at the sample, remember what the picture needs, and return numbers to log by name."""

    @abstractmethod
    def draw(self, epoch: int) -> Figure:
        """Return the picture of what was last observed.

        Args:
            epoch: number of epochs finished.
        """

    def check(self, module: ClassificationModule, sample: Sample) -> None:
        """Refuse what cannot be observed, before the first epoch."""

    def chosen_classes(self, module: ClassificationModule, dataset: Dataset[Any]) -> Collection[int] | None:
        """Return the primary classes to choose the images from; None, the default, stands for all."""
        return None

    def logs(self, epoch: int) -> bool:
        """Say whether to look at the end of an epoch that gets no picture."""
        return False

    # When it happens

    @property
    def state_key(self) -> str:
        """Return what tells callbacks of one class apart in a checkpoint."""
        return self._generate_state_key(name=self.name)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Refuse modules that have nothing to look at.

        Raises:
            MisconfigurationException: if the module is none of this package's, or has no auxiliary task.
        """
        if stage == "fit":
            self._begin()
        check_module(self, pl_module)
        if stage == "fit" and self.needs_auxiliary_task and not hasattr(pl_module, "psi"):
            raise MisconfigurationException(
                f"{type(self).__name__} looks at an auxiliary task, which {type(pl_module).__name__} does not have: "
                "use MAXLModule or MultiTaskModule, or take the callback out of trainer.callbacks."
            )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Choose the images."""
        module = cast(ClassificationModule, pl_module)  # setup has seen to it
        dataset = training_images(trainer) if self.dataset is None else self.dataset
        self.names = find_class_names(self.class_names, trainer, dataset, module.num_classes)
        classes = self.chosen_classes(module, dataset)
        self.sample = Sample(dataset, self.num_images, self.batch_size, collate_of(trainer), classes)
        with own_random_numbers():
            self.check(module, self.sample)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look and draw, if it is time."""
        epoch = finished_epochs(pl_module)
        if epoch is None:
            return
        self._finished = epoch
        draws = epoch % self.every_n_epochs == 0
        if draws or self.logs(epoch):
            pl_module.log_dict(self._look(trainer, pl_module), sync_dist=True)
        if draws:
            self._picture(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the last epoch, if it has no picture yet."""
        if self._finished == self._drawn:
            return
        if self._observed != self._finished:
            self._look(trainer, pl_module)
        self._picture(trainer)

    def _look(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, float]:
        module = cast(ClassificationModule, pl_module)
        numbers: dict[str, float] = {}
        if trainer.is_global_zero:
            with own_random_numbers(), trainer.precision_plugin.forward_context():
                numbers = self.observe(module, self._batches(trainer, module))
        self._observed = self._finished
        return trainer.strategy.broadcast(numbers)

    def _batches(self, trainer: Trainer, module: ClassificationModule) -> Iterator[MicroBatch]:
        for batch in self.sample or ():
            moved = trainer.strategy.batch_to_device(batch)
            yield MicroBatch(*module.unpack_batch(trainer.precision_plugin.convert_input(moved)))

    def _picture(self, trainer: Trainer) -> None:
        self._drawn = self._finished
        if trainer.is_global_zero:
            publish(trainer, self.draw(self._finished), self.name, self._finished)


def check_module(callback: Callback, module: LightningModule) -> ClassificationModule:
    """Return the module, or raise ``MisconfigurationException`` if it is none of this package's."""
    if not isinstance(module, ClassificationModule):
        raise MisconfigurationException(
            f"{type(callback).__name__} needs a module of this package, not {type(module).__name__}."
        )
    return module


def finished_epochs(module: LightningModule) -> int | None:
    """Return how many epochs are finished at the end of this one; None between the two passes of a pair."""
    passes = module.current_epoch + 1
    if getattr(module, "update", None) != "alternating":
        return passes
    return None if passes % 2 else passes // 2


@contextmanager
def own_random_numbers() -> Iterator[None]:
    """Run a block with random numbers that are always the same, and put the states back after it."""
    with isolate_rng():
        torch.default_generator.manual_seed(0)  # torch.manual_seed would reseed every kind of accelerator
        np.random.seed(0)  # noqa: NPY002 - users' transforms may draw from it
        random.seed(0)
        yield
