"""Test accuracy over the epochs, as in the paper's figures, without a trace in the training."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.model_helpers import is_overridden
from lightning.pytorch.utilities.seed import isolate_rng
from torch import nn
from torchmetrics.classification import MulticlassAccuracy

from maxl_lightning.modules.base import ClassificationModule

__all__ = ["TestEveryEpoch", "evaluating"]


class TestEveryEpoch(Callback):
    """Logs ``test/accuracy`` at the end of every epoch, or every ``check_val_every_n_epoch``-th.

    The paper reports the mean of the last five epochs' test accuracy, without a validation split; so none is needed.
    Training does not notice: the weights are those of a run without this callback, bit for bit.

    With several processes the first one evaluates, as it is the one whose weights and batch statistics checkpoints
    keep; all log its number.

    Args:
        loader: test images as (image, primary); ``None`` stands for the data module's ``test_dataloader``.
    """

    __test__ = False  # pytest would take the name for a test case's

    def __init__(self, loader: Iterable[Any] | None = None) -> None:
        self.loader = loader

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse what cannot be tested, before the first epoch.

        Raises:
            MisconfigurationException: if there are no test images, or the module is not one of this package.
        """
        if not isinstance(pl_module, ClassificationModule):
            raise MisconfigurationException(
                f"TestEveryEpoch tests MAXLModule, MultiTaskModule and SingleTaskModule, not {type(pl_module).__name__}: "
                "remove the callback, or derive your module from maxl_lightning.modules.ClassificationModule."
            )
        if self.loader is None and not is_overridden("test_dataloader", trainer.datamodule):  # type: ignore[attr-defined]
            raise MisconfigurationException(
                "TestEveryEpoch finds no test images: give Trainer.fit a data module with a test_dataloader, or the "
                "callback a loader, TestEveryEpoch(loader=…)."
            )

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Evaluate and log."""
        if (trainer.current_epoch + 1) % (trainer.check_val_every_n_epoch or 1) or trainer.fast_dev_run:
            return
        accuracy = self.evaluate(trainer, pl_module) if trainer.is_global_zero else None
        accuracy = trainer.strategy.broadcast(accuracy)
        pl_module.log("test/accuracy", accuracy, on_step=False, on_epoch=True, sync_dist=True, batch_size=1)

    def evaluate(self, trainer: Trainer, pl_module: ClassificationModule) -> float:
        """Return the accuracy on the test images, leaving random numbers, train flags and buffers as they were."""
        metric = MulticlassAccuracy(pl_module.num_classes, average="micro", sync_on_compute=False).to(pl_module.device)
        with isolate_rng(), evaluating(pl_module), torch.no_grad():
            for batch in self._batches(trainer):
                batch = trainer.strategy.batch_to_device(trainer.precision_plugin.convert_input(batch))
                x, y, _ = pl_module.unpack_batch(batch)
                with trainer.precision_plugin.forward_context():
                    logits = pl_module(x)
                metric.update(logits, y)
        return float(metric.compute())

    def _batches(self, trainer: Trainer) -> Iterable[Any]:
        if self.loader is None:
            trainer.datamodule.setup("test")  # type: ignore[attr-defined]  # set by fit
            self.loader = trainer.datamodule.test_dataloader()  # type: ignore[attr-defined]
        return self.loader


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put a module in evaluation mode for a block, and each of its parts back in its own mode after it."""
    modes = [(part, part.training) for part in module.modules()]
    for part, _ in modes:
        part.training = False
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training
