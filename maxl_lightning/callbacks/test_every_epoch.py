"""Test accuracy over the epochs, as in the paper's figures, without a trace in the training."""

from collections.abc import Iterable, Sized
from itertools import islice
from typing import Any, cast

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.utilities.model_helpers import is_overridden
from lightning.pytorch.utilities.seed import isolate_rng
from torchmetrics.classification import MulticlassAccuracy

from maxl_lightning.callbacks.evaluation import evaluating
from maxl_lightning.hypergradient.replay import unchanged
from maxl_lightning.modules import ClassificationModule

__all__ = ["TestEveryEpoch"]


class TestEveryEpoch(Callback):
    """Logs ``test/accuracy`` at the end of every epoch, or of every ``check_val_every_n_epoch``-th.

    The paper reports the mean of the last five epochs' test accuracy and has no validation split, so none is needed
    here. Training does not notice: weights, buffers and random numbers are those of a run without this callback.

    With several processes the first one evaluates, whose weights and batch statistics are those that checkpoints
    keep, and all of them log its number.

    Args:
        loader: test images as batches that the module takes; ``None`` stands for the data module's test loader.
    """

    __test__ = False  # pytest would take the name for that of a test case

    def __init__(self, loader: Iterable[Any] | None = None) -> None:
        self.loader = loader
        self._loader: Iterable[Any] | None = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse what cannot be tested, before the first epoch.

        Raises:
            MisconfigurationException: if there are no test images, or the module is not one of this package.
        """
        if not isinstance(pl_module, ClassificationModule):
            raise MisconfigurationException(
                f"TestEveryEpoch tests the modules of this package, not {type(pl_module).__name__}: remove the "
                "callback, or derive the module from maxl_lightning.modules.ClassificationModule."
            )
        if self.loader is None and not is_overridden("test_dataloader", _datamodule(trainer)):
            raise MisconfigurationException(
                "TestEveryEpoch finds no test images: give Trainer.fit a data module with a test_dataloader, or the "
                "callback a loader, TestEveryEpoch(loader=…)."
            )
        if trainer.limit_test_batches == 0:
            raise MisconfigurationException(
                "TestEveryEpoch has nothing to test with Trainer(limit_test_batches=0): remove one of them."
            )
        self._loader = self.loader

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Evaluate and log, if it is time."""
        if (trainer.current_epoch + 1) % (trainer.check_val_every_n_epoch or 1):
            return
        module = cast(ClassificationModule, pl_module)  # on_fit_start has seen to it
        accuracy = self.evaluate(trainer, module) if trainer.is_global_zero else 0.0
        accuracy = trainer.strategy.broadcast(accuracy)
        module.log("test/accuracy", accuracy, on_step=False, on_epoch=True, sync_dist=True, batch_size=1)

    def evaluate(self, trainer: Trainer, module: ClassificationModule) -> float:
        """Return the accuracy on the test images, and leave everything else as it was."""
        metric = MulticlassAccuracy(module.num_classes, average="micro", sync_on_compute=False).to(module.device)
        with isolate_rng(), unchanged(module, device=module.device), evaluating(module), torch.no_grad():
            for batch in self._batches(trainer):
                moved = trainer.strategy.batch_to_device(trainer.precision_plugin.convert_input(batch))
                x, y, _ = module.unpack_batch(moved)
                with trainer.precision_plugin.forward_context():
                    metric.update(module(x), y)
        return float(metric.compute())

    def _batches(self, trainer: Trainer) -> Iterable[Any]:
        """Return the batches, as many as ``limit_test_batches`` lets through."""
        if self._loader is None:  # kept from here on, with the processes that load images
            datamodule = cast(LightningDataModule, _datamodule(trainer))
            datamodule.setup("test")
            self._loader = datamodule.test_dataloader()
        limit = trainer.limit_test_batches  # a number of batches, or a share of them
        if isinstance(limit, int):
            return islice(self._loader, limit)
        return self._loader if limit == 1 else islice(self._loader, int(limit * len(cast(Sized, self._loader))))


def _datamodule(trainer: Trainer) -> LightningDataModule | None:
    return cast(LightningDataModule | None, getattr(trainer, "datamodule", None))
