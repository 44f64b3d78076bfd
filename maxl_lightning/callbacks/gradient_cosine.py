"""Whether the auxiliary loss pulls the shared trunk where the primary loss does."""

from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn import functional as F

from maxl_lightning.callbacks.curve import Curve, frame
from maxl_lightning.callbacks.figures import COLORS
from maxl_lightning.callbacks.sample import Sample
from maxl_lightning.hypergradient import MicroBatch, trainable_parameters
from maxl_lightning.hypergradient.problem import logits_pair
from maxl_lightning.hypergradient.replay import Replay
from maxl_lightning.modules import ClassificationModule, MAXLModule, MultiTaskModule

__all__ = ["GradientCosine", "gradient_cosine"]

COSINE, SPREAD = "train/gradient_cosine", "train/gradient_cosine_std"


class GradientCosine(Curve):
    """Logs and draws the cosine between the gradients of both losses over the shared trunk (paper, section 4.4).

    Above 0 a step down the auxiliary loss lowers the primary one too. It is one cosine over all shared parameters
    together, not a mean over layers; they are those that both losses reach. Each batch gives one, in train mode as
    a step would see it, and ``train/gradient_cosine`` is their mean.

    Args:
        num_images: images of all batches together.
        batch_size: images in a batch; the gradients of larger ones are less noisy, and their cosine larger.
        options: of :class:`~maxl_lightning.callbacks.curve.Curve` and
            :class:`~maxl_lightning.callbacks.picture.Picture`.

    Raises:
        ValueError: if an argument is out of its range.
        MisconfigurationException: if the module has no auxiliary task, both losses share no parameter, or batch
            statistics are shared by several processes, of which one alone looks.
    """

    def __init__(self, num_images: int = 500, batch_size: int = 100, **options: Any) -> None:
        super().__init__(num_images=num_images, batch_size=batch_size, **options)

    def check(self, module: ClassificationModule, sample: Sample) -> None:
        """Refuse batch statistics that one process would wait for in vain.

        Raises:
            MisconfigurationException: if several processes share them.
        """
        if module.trainer.world_size > 1 and any(isinstance(m, nn.SyncBatchNorm) for m in module.network.modules()):
            raise MisconfigurationException(
                "GradientCosine looks with one process, but SyncBatchNorm waits for all of them: take the callback out "
                "of trainer.callbacks, or set trainer.sync_batchnorm to false."
            )

    def observe(self, module: ClassificationModule, batches: Iterator[MicroBatch]) -> dict[str, float]:
        """Return mean and standard deviation of the cosine over batches."""
        cosines: list[float] = []
        for batch in batches:
            if not cosines or len(batch.y) == self.batch_size:  # a smaller last batch has other statistics
                cosines.append(_cosine(module, batch))
        values = torch.tensor(cosines, dtype=torch.float64)
        return {COSINE: float(values.mean()), SPREAD: float(values.std(correction=0))}

    def draw(self, epoch: int) -> Figure:
        """Return the curve with a band of one standard deviation."""
        figure = Figure(figsize=(6, 3.6), layout="constrained")
        axes = figure.add_subplot()
        epochs = sorted(self.history)
        mean, spread = (np.array([self.history[e][name] for e in epochs]) for name in (COSINE, SPREAD))
        axes.axhline(0, color="0.6", linewidth=0.8)
        axes.fill_between(
            epochs, mean - spread, mean + spread, color=COLORS[0], alpha=0.2, linewidth=0, label="± standard deviation"
        )
        self.plot(axes, COSINE, color=COLORS[0], label="mean of the batches")
        axes.legend(frameon=False, fontsize="small")
        title = f"Gradient cosine on the shared trunk: {mean[-1]:.2f} after epoch {epoch}"
        frame(axes, title, "epoch", "cosine of primary and auxiliary")
        return figure


def _cosine(module: ClassificationModule, batch: MicroBatch) -> float:
    task = cast(MAXLModule | MultiTaskModule, module)
    labels = task.auxiliary_labels(batch)
    with torch.enable_grad():
        output = Replay(module.network, batch.x.device)(trainable_parameters(module.network), batch.x)
        primary, auxiliary = logits_pair(output)
        losses = task.primary_loss(primary, batch.y).mean(), task.auxiliary_loss(auxiliary, labels).mean()
        return gradient_cosine(module.network, *losses)


def gradient_cosine(network: nn.Module, first: Tensor, second: Tensor) -> float:
    """Return the cosine between two losses' gradients over the parameters that both of them reach.

    Args:
        network: has the parameters.
        first: a loss, with its graph.
        second: another loss of the same pass.

    Returns:
        A number between −1 and 1; 0 if a gradient vanishes, which then pulls nowhere.

    Raises:
        MisconfigurationException: if no parameter is reached by both.
    """
    parameters = list(trainable_parameters(network).values())
    one, other = (
        torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True) for loss in (first, second)
    )
    shared = [pair for pair in zip(one, other, strict=True) if pair[0] is not None and pair[1] is not None]
    if not shared:
        raise MisconfigurationException(
            "the primary and the auxiliary loss reach no common parameter: GradientCosine needs a network with a "
            "shared trunk that is trained."
        )
    first_direction, second_direction = (_direction(gradients) for gradients in zip(*shared, strict=True))
    return float(first_direction @ second_direction)


def _direction(gradients: Sequence[Tensor]) -> Tensor:
    """Return all gradients as one vector of length 1, or 0 if they vanish."""
    vector = torch.cat([gradient.flatten() for gradient in gradients])
    vector = vector.to(torch.promote_types(vector.dtype, torch.float32))
    largest = vector.abs().max()  # the squares of tiny gradients would vanish
    return F.normalize(vector / largest, dim=0) if largest > 0 else vector
