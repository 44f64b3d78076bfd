"""MAXL: learns the auxiliary labels that make one step of multi-task training best for the primary task."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning_utilities.core.rank_zero import rank_zero_warn
from torch import Tensor, nn
from torch.optim import Optimizer

from maxl_lightning.functional import auxiliary_classes, focal_loss, negative_entropy
from maxl_lightning.hypergradient import (
    Estimator,
    HypergradientMethod,
    InnerPass,
    Lookahead,
    LookaheadKind,
    MetaProblem,
    MicroBatch,
    Tensors,
    clipped,
    hypergradient,
    inner_phase,
    make_clipping,
    make_lookahead,
    trainable_parameters,
)
from maxl_lightning.modules.base import ClassificationModule, unsaved
from maxl_lightning.modules.diagnostics import label_statistics
from maxl_lightning.modules.requirements import first_known, resolve_network

Factory = Callable[[int, Sequence[int]], nn.Module]


class MAXLModule(ClassificationModule):
    """Meta AuXiliary Learning (Liu, Davison and Johns, NeurIPS 2019).

    The multi-task network (θ1) learns the primary task and an auxiliary one whose soft labels a label generator
    (θ2) invents. The generator descends the primary loss after one look-ahead step of the network,
    ∇_θ2 [L_pri(θ1⁺) + λH] (paper, equations 2 to 6), exact and in forward mode.

    Args:
        network: x → (primary logits ``(N, C)``, auxiliary logits ``(N, Σψ)``), or a callable that makes such a
            network from the number of classes and ψ.
        label_generator: (x, y) → soft labels ``(N, Σψ)``, zero outside the block of y, or a callable that makes
            it from the number of classes and ψ.
        num_classes: number of primary classes C; may be left out if the network has it as an attribute.
        psi: auxiliary classes per primary class, one number or one for each; may be left out likewise.
        optimizer: makes θ1's optimiser from parameters.
        meta_optimizer: makes θ2's optimiser; ``None`` freezes the generator, which is the control for MAXL.
        lr_scheduler: makes θ1's scheduler; ``None`` for a constant rate.
        meta_lr_scheduler: makes θ2's scheduler.
        lr_scheduler_interval: whether schedulers step once an ``"epoch"`` or once a ``"step"``.
        focal_gamma: γ of the focal loss of both tasks, 0 or at least 1.
        auxiliary_weight: weight of the auxiliary loss.
        entropy_weight: λ, weight of the negative entropy of the mean label, which prevents collapse.
        hypergradient_method: ``"forward"`` mode, ``"double_backward"``, ``"finite_difference"``, or ``"auto"``:
            forward mode, leaving it for good only where a layer has no forward rule or ż is not finite.
        lookahead: ``"optimizer"`` (the step θ1's optimiser is about to take), ``"sgd"`` (the paper's plain step)
            or ``"none"`` (no look-ahead: the control).
        update: ``"interleaved"`` updates both networks on every batch; ``"alternating"`` is the authors' order,
            θ1 in even epochs and θ2 in odd ones (``max_epochs`` counts both).
        meta_every_n_steps: update the generator on every n-th step only; interleaved order.
        accumulate_grad_batches: batches that make up one step; the hypergradient is that of all of them together.
        gradient_clip_val: limit of θ1's gradient, which the look-ahead respects; ``None`` for no clipping.
        meta_gradient_clip_val: limit of θ2's gradient.
        gradient_clip_algorithm: ``"norm"`` or ``"value"``, for both.
        meta_autocast: under mixed precision, run the look-ahead and tangent passes in it too; not advisable.
        rerun_generator: run the generator twice instead of keeping its graph; less memory, more time.

    Raises:
        ValueError: if an argument is out of its range, or the networks do not fit ψ.
    """

    def __init__(
        self,
        network: Factory | nn.Module,
        label_generator: Factory | nn.Module,
        num_classes: int | None = None,
        psi: int | list[int] | None = None,
        optimizer: OptimizerCallable = lambda params: torch.optim.SGD(params, lr=0.01),
        meta_optimizer: OptimizerCallable | None = lambda params: torch.optim.SGD(params, lr=1e-3, weight_decay=5e-4),
        lr_scheduler: LRSchedulerCallable | None = lambda optimizer: torch.optim.lr_scheduler.StepLR(
            optimizer, step_size=50, gamma=0.5
        ),
        meta_lr_scheduler: LRSchedulerCallable | None = lambda optimizer: torch.optim.lr_scheduler.StepLR(
            optimizer, step_size=50, gamma=0.5
        ),
        lr_scheduler_interval: Literal["epoch", "step"] = "epoch",
        focal_gamma: float = 2.0,
        auxiliary_weight: float = 1.0,
        entropy_weight: float = 0.2,
        hypergradient_method: HypergradientMethod = "auto",
        lookahead: LookaheadKind = "optimizer",
        update: Literal["interleaved", "alternating"] = "interleaved",
        meta_every_n_steps: int = 1,
        accumulate_grad_batches: int = 1,
        gradient_clip_val: float | None = None,
        meta_gradient_clip_val: float | None = None,
        gradient_clip_algorithm: Literal["norm", "value"] = "norm",
        meta_autocast: bool = False,
        rerun_generator: bool = False,
    ) -> None:
        num_classes = int(first_known("num_classes", num_classes, _known("num_classes", network, label_generator)))
        sizes = auxiliary_classes(first_known("psi", psi, _known("psi", network, label_generator)), num_classes)
        expected = {"num_classes": num_classes, "psi": sizes}
        super().__init__(
            resolve_network(network, "network", num_classes, sizes, **expected),
            num_classes,
            optimizer,
            lr_scheduler,
            lr_scheduler_interval,
            focal_gamma,
            accumulate_grad_batches,
            gradient_clip_val,
            gradient_clip_algorithm,
        )
        self.save_hyperparameters(
            ignore=unsaved(
                network=network,
                label_generator=label_generator,
                optimizer=optimizer,
                meta_optimizer=meta_optimizer,
                lr_scheduler=lr_scheduler,
                meta_lr_scheduler=meta_lr_scheduler,
            )
        )
        self.label_generator = resolve_network(label_generator, "label_generator", num_classes, sizes, **expected)
        self.label_generator.eval()
        self.psi = sizes
        self.meta_optimizer = meta_optimizer
        self.meta_lr_scheduler = meta_lr_scheduler
        self.auxiliary_weight = auxiliary_weight
        self.entropy_weight = entropy_weight
        self.hypergradient_method = hypergradient_method
        self.lookahead = lookahead
        self.update = update
        self.meta_every_n_steps = meta_every_n_steps
        self.meta_gradient_clip_val = meta_gradient_clip_val
        self.meta_clipping = make_clipping(meta_gradient_clip_val, gradient_clip_algorithm)
        self.meta_autocast = meta_autocast
        self.rerun_generator = rerun_generator
        self.estimator = Estimator(hypergradient_method, warn=rank_zero_warn)
        self._check_options()

    # The algorithm

    def optimize(self, window: Sequence[MicroBatch]) -> None:
        """Take one step of MAXL: labels, inner gradient, look-ahead, hypergradient, then both updates."""
        meta, primary = self.updates_generator, self.updates_network
        with in_train_mode(self.label_generator):
            inner = inner_phase(self.problem, window, self.reduce, meta=meta)
            if meta:
                lookahead = self._lookahead(self._optimizers()[0].optimizer)
                meta_gradient = self.estimator(self.problem, inner, lookahead, reduce=self.reduce)
        if primary:
            self.step_network(inner.gradient)
        if meta:
            self.step_generator(meta_gradient.gradient, ticks=not primary)
            self._log({"train/meta_loss": meta_gradient.loss})
        self._log_inner(inner)

    @property
    def problem(self) -> MetaProblem:
        """The bilevel problem, in this module's settings."""
        return MetaProblem(
            network=self.network,
            label_generator=self.label_generator,
            primary_loss=self.primary_loss,
            auxiliary_loss=self.auxiliary_loss,
            auxiliary_weight=self.auxiliary_weight,
            label_penalty=self.label_penalty,
            rerun_generator=self.rerun_generator,
            meta_autocast=self.meta_autocast,
        )

    def auxiliary_labels(self, batch: MicroBatch) -> Tensor:
        """Return the labels that the generator now gives, ``(N, Σψ)``, without a graph."""
        with torch.no_grad():
            labels: Tensor = self.label_generator(batch.x, batch.y)
        return labels

    def auxiliary_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the focal loss of each image against its generated soft label, ``(N,)``."""
        return focal_loss(logits, labels, self.focal_gamma)

    def label_penalty(self, marginal: Tensor) -> Tensor:
        """Return λH, H the negative entropy of the mean label ``(Σψ,)``."""
        return self.entropy_weight * negative_entropy(marginal)

    @property
    def updates_network(self) -> bool:
        """Whether the step now taken updates θ1."""
        return self.update == "interleaved" or self.current_epoch % 2 == 0

    @property
    def updates_generator(self) -> bool:
        """Whether the step now taken updates θ2."""
        if self.meta_optimizer is None:
            return False
        if self.update == "alternating":
            return self.current_epoch % 2 == 1
        return self.trainer.global_step % self.meta_every_n_steps == 0

    def step_generator(self, gradient: Tensors, *, ticks: bool) -> None:
        """Clip a gradient for θ2, step with it, and log its norm and the learning rate."""
        self.step(self._optimizers()[1], self.label_generator, gradient, self.meta_clipping, "meta_", ticks=ticks)

    def hypergradient(self, batch: Any, outer_batch: Any | None = None) -> Tensors:
        """Return ∇_θ2 [L_pri(θ1⁺) + λH] in the current train or eval mode, leaving no trace.

        Works before ``fit`` too, with fresh optimisers. ``maxl_lightning.hypergradient`` needs no Lightning.

        Args:
            batch: as the loader gives it, on the module's device.
            outer_batch: for the outer loss; ``batch`` if not given.

        Returns:
            Detached gradients, keyed as in ``label_generator.named_parameters()``.
        """
        outer = None if outer_batch is None else [self._micro_batch(outer_batch)]
        lookahead = self._lookahead(self._optimizer_in_force())
        result = hypergradient(
            self.problem,
            [self._micro_batch(batch)],
            lookahead,
            estimator=self.estimator,
            outer=outer,
            reduce=self.reduce,
        )
        return result.gradient

    def _lookahead(self, optimizer: Optimizer) -> Lookahead:
        return clipped(self.clipping, make_lookahead(optimizer, self.network, self.lookahead))

    def _optimizer_in_force(self) -> Optimizer:
        if self._trainer is not None and self.trainer.optimizers:
            return self.trainer.optimizers[0]
        return self.optimizer(trainable_parameters(self.network).values())

    @property
    def lookahead_lr(self) -> float:
        """The learning rate of the first parameter group, now in force."""
        return float(self._optimizer_in_force().param_groups[0]["lr"])

    def stepped_optimizers(self) -> list[Optimizer]:
        """Return both optimisers, or the one whose pass this is in the alternating order."""
        optimizers = super().stepped_optimizers()
        if self.update == "interleaved":
            return optimizers
        return optimizers[:1] if self.updates_network else optimizers[1:]

    # Around it

    def predict_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        """Return ``{"probabilities": (N, C), "auxiliary_labels": (N, Σψ)}``, the labels generated for each y."""
        labels = self.auxiliary_labels(self._micro_batch(batch))
        return {**super().predict_step(batch, batch_idx), "auxiliary_labels": labels}

    def _log_inner(self, inner: InnerPass) -> None:
        for record in inner.records:
            self.log_accuracy("train", record.primary_logits, record.batch.y)
        labels = torch.cat([record.labels[0].detach() for record in inner.records])
        losses = {"train/primary_loss": inner.primary_loss, "train/auxiliary_loss": inner.auxiliary_loss}
        self._log({**losses, **label_statistics(labels, inner.marginal)})

    def configure_optimizers(self) -> list[Any]:
        """Build both optimisers and their schedulers; a frozen generator has none."""
        configured = super().configure_optimizers()
        make_lookahead(configured[0]["optimizer"], self.network, self.lookahead)  # refuses what it cannot differentiate
        if self.meta_optimizer is None:
            return configured
        optimizer = self.meta_optimizer(trainable_parameters(self.label_generator).values())
        return [*configured, self._configured(optimizer, self.meta_lr_scheduler, "label_generator")]

    def on_train_start(self) -> None:
        """Put the generator in evaluation mode, which it leaves only within a training step."""
        self.label_generator.eval()

    def on_fit_start(self) -> None:
        """Check that validation falls after θ2's pass.

        The generator is in evaluation mode on purpose: Lightning's warning about that is silenced.

        Raises:
            MisconfigurationException: if the alternating order would be validated between its two passes.
        """
        warnings.filterwarnings("ignore", message=r"Found \d+ module\(s\) in eval mode")
        every = self.trainer.check_val_every_n_epoch
        if self.update == "alternating" and self.trainer.enable_validation and (every is None or every % 2 == 1):
            raise MisconfigurationException(
                f"update='alternating' takes two epochs for one pass of each network, but validation runs every "
                f"{every} epoch(s): set Trainer(check_val_every_n_epoch=2) or another even number."
            )

    def on_train_epoch_end(self) -> None:
        """Step the schedulers, once for each pair of epochs in the alternating order."""
        if self.update == "interleaved" or self.current_epoch % 2 == 1:
            super().on_train_epoch_end()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the estimator in use."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["hypergradient"] = {"active": self.estimator.active, "reason": self.estimator.reason}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the estimator in use."""
        super().on_load_checkpoint(checkpoint)
        if self.estimator.automatic and "hypergradient" in checkpoint:
            self.estimator.active = checkpoint["hypergradient"]["active"]
            self.estimator.reason = checkpoint["hypergradient"]["reason"]

    def _check_options(self) -> None:
        if self.lookahead not in ("optimizer", "sgd", "none"):
            raise ValueError(f"lookahead is {self.lookahead!r}: use 'optimizer', 'sgd' or 'none'.")
        if self.update not in ("interleaved", "alternating"):
            raise ValueError(f"update is {self.update!r}: use 'interleaved' or 'alternating'.")
        if self.meta_every_n_steps < 1:
            raise ValueError(f"meta_every_n_steps must be at least 1, got {self.meta_every_n_steps}.")
        if self.update == "alternating" and self.meta_every_n_steps != 1:
            raise ValueError(
                f"meta_every_n_steps={self.meta_every_n_steps} means nothing in the alternating order, where θ2 has an "
                "epoch of its own: leave it at 1, or use update='interleaved'."
            )
        if {id(p) for p in self.network.parameters()} & {id(p) for p in self.label_generator.parameters()}:
            raise ValueError(
                "network and label_generator share parameters, so that both optimisers would step them: give the "
                "generator a trunk of its own (copy.deepcopy makes one)."
            )
        if self.meta_optimizer is not None and not trainable_parameters(self.label_generator):
            raise ValueError(
                "label_generator has no parameter that requires a gradient: set meta_optimizer=None to keep it frozen."
            )


@contextmanager
def in_train_mode(module: nn.Module) -> Iterator[None]:
    """Put a module in train mode for a block, and in evaluation mode after it, whatever happens."""
    module.train()
    try:
        yield
    finally:
        module.eval()


def _known(name: str, *networks: object) -> Any:
    return next((getattr(n, name) for n in networks if isinstance(n, nn.Module) and hasattr(n, name)), None)
