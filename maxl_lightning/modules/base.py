"""The manual training loop that every method shares, with evaluation, schedulers and resuming."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any, Literal

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningModule
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torchmetrics.classification import MulticlassAccuracy

from maxl_lightning.functional import check_gamma, focal_loss
from maxl_lightning.hypergradient import (
    Clipping,
    MicroBatch,
    Tensors,
    gradient_norm,
    make_clipping,
    mean_gradient,
    trainable_parameters,
)
from maxl_lightning.modules.random_state import gather_random_states, restore_own_random_state
from maxl_lightning.modules.requirements import check_classes, check_trainer

Stage = Literal["train", "val", "test"]


class ClassificationModule(LightningModule, ABC):
    """Trains a classifier with gradients taken by hand; the methods differ in the losses they give.

    Every method of the package runs this loop, so that accumulation, clipping, schedulers and evaluation mean the
    same for all of them.

    Args:
        network: x ``(N, …)`` → primary logits ``(N, C)``, or a tuple that begins with them.
        num_classes: number of primary classes C.
        optimizer: makes the optimiser from parameters.
        lr_scheduler: makes the scheduler from the optimiser; ``None`` for a constant rate.
        lr_scheduler_interval: whether schedulers step once an ``"epoch"`` or once a ``"step"``.
        focal_gamma: γ of the focal loss, 0 or at least 1.
        accumulate_grad_batches: batches that make up one step.
        gradient_clip_val: limit of the gradient; ``None`` for no clipping.
        gradient_clip_algorithm: ``"norm"`` or ``"value"``.

    Raises:
        ValueError: if an argument is out of its range.
    """

    def __init__(
        self,
        network: nn.Module,
        num_classes: int,
        optimizer: OptimizerCallable,
        lr_scheduler: LRSchedulerCallable | None,
        lr_scheduler_interval: Literal["epoch", "step"],
        focal_gamma: float,
        accumulate_grad_batches: int,
        gradient_clip_val: float | None,
        gradient_clip_algorithm: Literal["norm", "value"],
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        check_gamma(focal_gamma)
        if accumulate_grad_batches < 1:
            raise ValueError(f"accumulate_grad_batches must be at least 1, got {accumulate_grad_batches}.")
        self.network = network
        self.num_classes = num_classes
        self.optimizer = optimizer
        self.lr_scheduler = lr_scheduler
        self.lr_scheduler_interval = lr_scheduler_interval
        self.focal_gamma = focal_gamma
        self.accumulate_grad_batches = accumulate_grad_batches
        self.gradient_clip_val = gradient_clip_val
        self.gradient_clip_algorithm = gradient_clip_algorithm
        self.clipping = make_clipping(gradient_clip_val, gradient_clip_algorithm)
        self.train_accuracy = MulticlassAccuracy(num_classes, average="micro")
        self.val_accuracy = MulticlassAccuracy(num_classes, average="micro")
        self.test_accuracy = MulticlassAccuracy(num_classes, average="micro")
        self._window: list[MicroBatch] = []
        self._resumed_states: list[dict[str, Any]] | None = None

    # What a method defines

    @abstractmethod
    def optimize(self, window: Sequence[MicroBatch]) -> None:
        """Take one training step on the micro-batches that make up a batch."""

    def unpack_batch(self, batch: Any) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return (images, primary labels, auxiliary labels or ``None``): override it for batches of another form.

        Raises:
            ValueError: if the batch is not a sequence of two or three.
        """
        if isinstance(batch, tuple | list) and len(batch) in (2, 3):
            x, y, *auxiliary = batch
            return x, y, auxiliary[0] if auxiliary else None
        raise ValueError(
            f"a batch must be (image, primary) or (image, primary, auxiliary), got {type(batch).__name__}: "
            "override unpack_batch() to return (x, y, auxiliary or None) from yours."
        )

    def auxiliary_labels(self, batch: MicroBatch) -> Tensor | None:
        """Return the auxiliary labels that a batch is learned with, as indices ``(N,)`` or soft labels ``(N, Σψ)``.

        Only the methods with an auxiliary task have some; ``None``, the default, stands for no such task.
        """
        return None

    def classifier(self) -> nn.Module:
        """Return the primary classifier, x → logits ``(N, C)``, sharing this module's weights."""
        make = getattr(self.network, "classifier", None)
        return make() if callable(make) and not isinstance(make, nn.Module) else PrimaryOutput(self.network)

    # The loop

    def training_step(self, batch: Any, batch_idx: int) -> None:
        """Collect micro-batches and take a step when the window is full or the epoch ends."""
        self._resumed_states = None  # training goes on: a later epoch must not go back to them
        micro_batch = self._micro_batch(batch)
        if micro_batch.y.device.type == "cpu" or batch_idx == 0:  # elsewhere looking at labels waits for the device
            check_classes(micro_batch.y, self.num_classes)
        self._window.append(micro_batch)
        if len(self._window) < self.accumulate_grad_batches and not self.trainer.is_last_batch:
            return
        window, self._window = self._window, []
        self.optimize(window)
        self._step_schedulers("step")

    def descend(
        self, losses: Callable[[MicroBatch], Sequence[Tensor]], window: Sequence[MicroBatch]
    ) -> tuple[Tensor, ...]:
        """Take one step down the mean of losses per image, and return their means over all processes."""
        count = sum(len(batch.y) for batch in window)
        gradient, means = mean_gradient(trainable_parameters(self.network), window, losses, count, unused=True)
        reduced = self.reduce([*gradient.values(), *means], count)
        self.step_network(dict(zip(gradient, reduced[: len(gradient)], strict=True)))
        return tuple(reduced[len(gradient) :])

    def step_network(self, gradient: Tensors) -> None:
        """Clip a gradient for θ1, step with it, and log its norm and the learning rate."""
        self.step(self._optimizers()[0], self.network, gradient, self.clipping)

    def step(
        self,
        optimizer: LightningOptimizer,
        module: nn.Module,
        gradient: Tensors,
        clipping: Clipping,
        prefix: str = "",
        *,
        ticks: bool = True,
    ) -> None:
        """Clip a gradient, step with it, and log its norm and the learning rate.

        Args:
            optimizer: steps.
            module: the optimiser's parameters live here.
            gradient: by parameter name.
            clipping: limits the gradient; the norm logged is the one before.
            prefix: of the logged names.
            ticks: whether the step counts in ``trainer.global_step``: one optimiser a window does.
        """
        rate = optimizer.param_groups[0]["lr"]
        self._log({f"train/{prefix}gradient_norm": gradient_norm(gradient), f"train/{prefix}learning_rate": rate})
        clipped, _ = clipping(gradient)
        for name, parameter in module.named_parameters():
            parameter.grad = clipped.get(name)
        if not ticks:
            optimizer._on_before_step = optimizer._on_after_step = lambda: None
        optimizer.step()
        optimizer.zero_grad()

    def reduce(self, tensors: list[Tensor], weight: int) -> list[Tensor]:
        """Average tensors over processes, weighted by each one's number of images, in one collective a type."""
        if self._trainer is None or self.trainer.world_size == 1:
            return tensors
        reduced = list(tensors)
        for dtype in {t.dtype for t in tensors}:
            places = [i for i, t in enumerate(tensors) if t.dtype == dtype]
            share = tensors[places[0]].new_tensor([weight])
            flat = torch.cat([*(tensors[i].reshape(-1) * weight for i in places), share])
            torch.distributed.all_reduce(flat)
            parts = torch.split(flat[:-1] / flat[-1], [tensors[i].numel() for i in places])
            for i, part in zip(places, parts, strict=True):
                reduced[i] = part.view_as(tensors[i])
        return reduced

    def primary_loss(self, logits: Tensor, y: Tensor) -> Tensor:
        """Return the focal loss of each image, ``(N,)``."""
        return focal_loss(logits, y, self.focal_gamma)

    # Evaluation

    def forward(self, x: Tensor) -> Tensor:
        """Return primary logits ``(N, C)``."""
        return primary_output(self.network(x))

    def validation_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Log loss and accuracy on validation data, and return the primary logits ``(N, C)`` for callbacks."""
        return self._evaluate(batch, "val")

    def test_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Log loss and accuracy on test data, and return the primary logits ``(N, C)`` for callbacks."""
        return self._evaluate(batch, "test")

    def predict_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        """Return ``{"probabilities": (N, C)}``."""
        return {"probabilities": self(self._micro_batch(batch).x).softmax(dim=-1)}

    def _evaluate(self, batch: Any, stage: Stage) -> Tensor:
        x, y, _ = self._micro_batch(batch)
        if y.device.type == "cpu":
            check_classes(y, self.num_classes)
        logits: Tensor = self(x)
        self.log(f"{stage}/primary_loss", self.primary_loss(logits, y).mean(), batch_size=len(y), sync_dist=True)
        self.log_accuracy(stage, logits, y)
        return logits

    def log_accuracy(self, stage: Stage, logits: Tensor, y: Tensor) -> None:
        """Add a batch to a stage's accuracy, which is logged once an epoch."""
        metric = getattr(self, f"{stage}_accuracy")
        metric.update(logits, y)
        self.log(f"{stage}/accuracy", metric, on_step=False, on_epoch=True, prog_bar=True, batch_size=len(y))

    def _micro_batch(self, batch: Any) -> MicroBatch:
        return MicroBatch(*self.unpack_batch(batch))

    def _log(self, values: dict[str, Tensor | float]) -> None:
        self.log_dict(values, on_step=True, on_epoch=False, batch_size=1)

    # Optimisers and schedulers

    def configure_optimizers(self) -> list[Any]:
        """Build θ1's optimiser and scheduler."""
        return [
            self._configured(self.optimizer(trainable_parameters(self.network).values()), self.lr_scheduler, "network")
        ]

    def _configured(self, optimizer: Optimizer, scheduler: LRSchedulerCallable | None, name: str) -> dict[str, Any]:
        if scheduler is None:
            return {"optimizer": optimizer}
        config = {"scheduler": scheduler(optimizer), "interval": self.lr_scheduler_interval, "name": f"lr/{name}"}
        return {"optimizer": optimizer, "lr_scheduler": config}

    def _optimizers(self) -> list[LightningOptimizer]:
        optimizers = self.optimizers()
        return optimizers if isinstance(optimizers, list) else [optimizers]

    def stepped_optimizers(self) -> list[Optimizer]:
        """Return the optimisers whose schedulers, if they step once a step, step now."""
        return self.trainer.optimizers

    def _step_schedulers(self, interval: Literal["epoch", "step"]) -> None:
        stepped = self.stepped_optimizers() if interval == "step" else self.trainer.optimizers
        for config in self.trainer.lr_scheduler_configs:
            if config.interval == interval and any(config.scheduler.optimizer is o for o in stepped):
                self._step_scheduler(config.scheduler)

    def _step_scheduler(self, scheduler: Any) -> None:
        if not isinstance(scheduler, ReduceLROnPlateau):
            scheduler.step()
            return
        monitor = getattr(scheduler, "monitor", "val/primary_loss")
        if monitor not in self.trainer.callback_metrics:
            known = ", ".join(sorted(self.trainer.callback_metrics))
            raise MisconfigurationException(
                f"ReduceLROnPlateau monitors {monitor!r}, which is not logged; there are {known}. Use "
                "lightning.pytorch.cli.ReduceLROnPlateau with monitor set to one of them."
            )
        scheduler.step(self.trainer.callback_metrics[monitor])

    def on_train_epoch_end(self) -> None:
        """Step the schedulers that step once an epoch."""
        self._step_schedulers("epoch")

    # Starting and resuming

    def configure_callbacks(self) -> Sequence[Callback]:
        """Check the Trainer's flags: this is the first hook that sees them."""
        if self.trainer.state.fn == TrainerFn.FITTING:
            check_trainer(self.trainer)
        return []

    def on_train_epoch_start(self) -> None:
        """Begin with an empty window; where the loader is about to start anew after resuming, so do random numbers.

        On resuming, Lightning starts the loader once, right after the checkpoint is read. If the checkpoint was taken
        at the very end of an epoch it starts it a second time, here, with the first one's draws gone.
        """
        self._window = []
        states, self._resumed_states = self._resumed_states, None
        loop = self.trainer.fit_loop
        if states is not None and not loop.is_resuming and not loop.epoch_loop.restarting:
            restore_own_random_state(states, self.trainer.global_rank, self.trainer.world_size)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add ψ and the random-number states; keep only hyperparameters that load with ``weights_only=True``."""
        if (psi := getattr(self, "psi", None)) is not None:  # single task has none
            checkpoint["psi"] = list(psi)
        checkpoint["random_states"] = gather_random_states()
        hyperparameters = checkpoint.get(self.CHECKPOINT_HYPER_PARAMS_KEY, {})
        checkpoint[self.CHECKPOINT_HYPER_PARAMS_KEY] = {k: v for k, v in hyperparameters.items() if is_plain(v)}
        checkpoint.pop("hparams_type", None)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Check ψ, and restore the random-number state where training goes on.

        Raises:
            MisconfigurationException: if the checkpoint was trained with another ψ.
        """
        trained, psi = checkpoint.get("psi"), getattr(self, "psi", None)
        if psi is not None and trained is not None and tuple(trained) != psi:
            raise MisconfigurationException(
                f"the checkpoint was trained with psi={list(trained)} but this module has psi={list(psi)}: "
                "set the same psi (data.psi on the command line), or train anew."
            )
        if self._trainer is not None and self.trainer.state.fn == TrainerFn.FITTING and "random_states" in checkpoint:
            self._resumed_states = checkpoint["random_states"]
            restore_own_random_state(checkpoint["random_states"], self.trainer.global_rank, self.trainer.world_size)


class PrimaryOutput(nn.Module):
    """A network reduced to its primary logits.

    Args:
        network: x → primary logits ``(N, C)``, or a tuple that begins with them.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Return primary logits ``(N, C)``."""
        return primary_output(self.network(x))


def primary_output(output: Any) -> Tensor:
    """Return the primary logits from what a network gives."""
    logits: Tensor = output[0] if isinstance(output, tuple) else output
    return logits


def unsaved(**arguments: object) -> list[str]:
    """Return the names of the arguments that hyperparameters cannot hold: modules and functions made in Python.

    Those made by the command line are saved as the configuration that made them.
    """
    return [name for name, value in arguments.items() if isinstance(value, nn.Module | FunctionType)]


def is_plain(value: object) -> bool:
    """Say whether a value consists of numbers, strings and containers of them."""
    if isinstance(value, dict):
        return all(is_plain(k) and is_plain(v) for k, v in value.items())
    if isinstance(value, list | tuple):
        return all(is_plain(item) for item in value)
    return value is None or isinstance(value, bool | int | float | str)
