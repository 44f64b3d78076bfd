"""Single task: the primary task alone, the paper's baseline."""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn

from maxl_lightning.hypergradient import MicroBatch
from maxl_lightning.modules.base import ClassificationModule, unsaved
from maxl_lightning.modules.requirements import first_known, resolve_network


class SingleTaskModule(ClassificationModule):
    """Learns the primary task without help.

    Args:
        network: x → primary logits ``(N, C)`` (a tuple that begins with them will do), or a callable that makes
            such a network from the number of classes.
        num_classes: number of primary classes C; may be left out if the network has it as an attribute.
        optimizer: makes the optimiser from parameters.
        lr_scheduler: makes the scheduler; ``None`` for a constant rate.
        lr_scheduler_interval: whether the scheduler steps once an ``"epoch"`` or once a ``"step"``.
        focal_gamma: γ of the focal loss, 0 or at least 1.
        accumulate_grad_batches: batches that make up one step.
        gradient_clip_val: limit of the gradient; ``None`` for no clipping.
        gradient_clip_algorithm: ``"norm"`` or ``"value"``.

    Raises:
        ValueError: if an argument is out of its range.
    """

    def __init__(
        self,
        network: Callable[[int], nn.Module] | nn.Module,
        num_classes: int | None = None,
        optimizer: OptimizerCallable = lambda params: torch.optim.SGD(params, lr=0.01),
        lr_scheduler: LRSchedulerCallable | None = lambda optimizer: torch.optim.lr_scheduler.StepLR(
            optimizer, step_size=50, gamma=0.5
        ),
        lr_scheduler_interval: Literal["epoch", "step"] = "epoch",
        focal_gamma: float = 2.0,
        accumulate_grad_batches: int = 1,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: Literal["norm", "value"] = "norm",
    ) -> None:
        num_classes = int(first_known("num_classes", num_classes, getattr(network, "num_classes", None)))
        super().__init__(
            resolve_network(network, "network", num_classes, num_classes=num_classes),
            num_classes,
            optimizer,
            lr_scheduler,
            lr_scheduler_interval,
            focal_gamma,
            accumulate_grad_batches,
            gradient_clip_val,
            gradient_clip_algorithm,
        )
        self.save_hyperparameters(ignore=unsaved(network=network, optimizer=optimizer, lr_scheduler=lr_scheduler))

    def optimize(self, window: Sequence[MicroBatch]) -> None:
        """Take one step down the primary loss."""
        (primary,) = self.descend(self.losses, window)
        self._log({"train/primary_loss": primary})

    def losses(self, batch: MicroBatch) -> tuple[Tensor]:
        """Return the primary loss of each image."""
        logits = self(batch.x)
        self.log_accuracy("train", logits.detach(), batch.y)
        return (self.primary_loss(logits, batch.y),)
