"""Multi task with given auxiliary labels: uniform, random, clustered, human or learned elsewhere."""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn

from maxl_lightning.functional import auxiliary_classes, focal_loss
from maxl_lightning.hypergradient import MicroBatch
from maxl_lightning.modules.base import ClassificationModule, unsaved
from maxl_lightning.modules.requirements import check_classes, first_known, resolve_network


class MultiTaskModule(ClassificationModule):
    """Learns the primary task beside an auxiliary one whose labels come with the data.

    Batches are ``(image, primary, auxiliary)``, the auxiliary label a class index ``(N,)`` or a soft label
    ``(N, Σψ)``. Where it came from is the data's affair.

    Args:
        network: x → (primary logits ``(N, C)``, auxiliary logits ``(N, Σψ)``), or a callable that makes such a
            network from the number of classes and ψ.
        num_classes: number of primary classes C; may be left out if the network has it as an attribute.
        psi: auxiliary classes per primary class, one number or one for each; may be left out if the network has
            it as an attribute.
        optimizer: makes the optimiser from parameters.
        lr_scheduler: makes the scheduler; ``None`` for a constant rate.
        lr_scheduler_interval: whether the scheduler steps once an ``"epoch"`` or once a ``"step"``.
        focal_gamma: γ of the focal loss of both tasks, 0 or at least 1.
        auxiliary_weight: weight of the auxiliary loss.
        accumulate_grad_batches: batches that make up one step.
        gradient_clip_val: limit of the gradient; ``None`` for no clipping.
        gradient_clip_algorithm: ``"norm"`` or ``"value"``.

    Raises:
        ValueError: if an argument is out of its range.
    """

    def __init__(
        self,
        network: Callable[[int, Sequence[int]], nn.Module] | nn.Module,
        num_classes: int | None = None,
        psi: int | list[int] | None = None,
        optimizer: OptimizerCallable = lambda params: torch.optim.SGD(params, lr=0.01),
        lr_scheduler: LRSchedulerCallable | None = lambda optimizer: torch.optim.lr_scheduler.StepLR(
            optimizer, step_size=50, gamma=0.5
        ),
        lr_scheduler_interval: Literal["epoch", "step"] = "epoch",
        focal_gamma: float = 2.0,
        auxiliary_weight: float = 1.0,
        accumulate_grad_batches: int = 1,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: Literal["norm", "value"] = "norm",
    ) -> None:
        num_classes = int(first_known("num_classes", num_classes, getattr(network, "num_classes", None)))
        sizes = auxiliary_classes(first_known("psi", psi, getattr(network, "psi", None)), num_classes)
        super().__init__(
            resolve_network(network, "network", num_classes, sizes, num_classes=num_classes, psi=sizes),
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
        self.psi = sizes
        self.auxiliary_weight = auxiliary_weight

    def optimize(self, window: Sequence[MicroBatch]) -> None:
        """Take one step down the primary and the weighted auxiliary loss."""
        primary, auxiliary = self.descend(self.losses, window)
        self._log({"train/primary_loss": primary, "train/auxiliary_loss": auxiliary})

    def losses(self, batch: MicroBatch) -> tuple[Tensor, Tensor]:
        """Return the primary and the weighted auxiliary loss of each image.

        Raises:
            ValueError: if the batch has no auxiliary labels, or they are out of range.
        """
        labels = self.auxiliary_labels(batch)
        primary, auxiliary = self.network(batch.x)
        self.log_accuracy("train", primary.detach(), batch.y)
        return self.primary_loss(primary, batch.y), self.auxiliary_weight * self.auxiliary_loss(auxiliary, labels)

    def auxiliary_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the focal loss of each image against its auxiliary label, ``(N,)``."""
        return focal_loss(logits, labels, self.focal_gamma)

    def auxiliary_labels(self, batch: MicroBatch) -> Tensor:
        """Return the labels that came with the batch.

        Raises:
            ValueError: if there are none, or they are out of range.
        """
        if batch.auxiliary is None:
            raise ValueError(
                "batches have no auxiliary labels: give the data module a label source (data.auxiliary_labels, for "
                "example UniformLabels), or use SingleTaskModule or MAXLModule."
            )
        if batch.auxiliary.ndim == 1 and batch.auxiliary.device.type == "cpu":
            check_classes(batch.auxiliary, sum(self.psi), "auxiliary")
        return batch.auxiliary
