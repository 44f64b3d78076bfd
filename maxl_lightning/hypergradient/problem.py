"""What MAXL optimises: two networks and the losses that tie them together."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = ["Labels", "MetaProblem"]

Labels = tuple[Tensor, ...]
"""What the generator gives: the soft labels ``(N, Σψ)`` first, then anything else per image, weights say."""


@dataclass(frozen=True)
class MetaProblem:
    """The bilevel problem min_θ2 L_pri(θ1⁺) + λH, θ1⁺ one step on L_pri + w A(z, s) from θ1 (paper, section 3).

    θ2 enters the inner loss through the generator's outputs s alone; that is what makes the hypergradient cheap.

    Attributes:
        network: x → (primary logits ``(N, C)``, auxiliary logits z ``(N, Σψ)``), parameters θ1.
        label_generator: (x, y) → soft labels ``(N, Σψ)``, or a tuple that begins with them; parameters θ2.
        primary_loss: (logits, classes ``(N,)``) → one loss per image ``(N,)``.
        auxiliary_loss: (z, *s) → one loss per image ``(N,)``, differentiable in z and s.
        auxiliary_weight: w.
        label_penalty: λH as a function of the mean label ``(Σψ,)``.
        rerun_generator: run the generator again for its backward pass instead of keeping its graph: one forward
            pass more, less memory.
        meta_autocast: let the look-ahead and tangent passes run under autocast too; in bfloat16 the result is
            then useless.
    """

    network: nn.Module
    label_generator: nn.Module
    primary_loss: Callable[[Tensor, Tensor], Tensor]
    auxiliary_loss: Callable[..., Tensor]
    auxiliary_weight: float
    label_penalty: Callable[[Tensor], Tensor]
    rerun_generator: bool = False
    meta_autocast: bool = False

    def inner_loss(self, primary: Tensor, y: Tensor, auxiliary: Tensor, labels: Labels) -> tuple[Tensor, Tensor]:
        """Return the primary and the weighted auxiliary loss of each image, ``(N,)`` both."""
        return self.primary_loss(primary, y), self.weighted_auxiliary_loss(auxiliary, labels)

    def weighted_auxiliary_loss(self, auxiliary: Tensor, labels: Labels) -> Tensor:
        """Return w A(z, s) of each image, ``(N,)``.

        Raises:
            ValueError: if the auxiliary head and the generated labels differ in width.
        """
        if auxiliary.shape != labels[0].shape:
            raise ValueError(
                f"the network's auxiliary logits have shape {tuple(auxiliary.shape)} but the label generator gives "
                f"labels of shape {tuple(labels[0].shape)}: both must be (N, Σψ) for the same ψ."
            )
        return self.auxiliary_weight * self.auxiliary_loss(auxiliary, *labels)

    def precision(self, device: torch.device) -> torch.autocast:
        """Return the autocast state of the look-ahead and tangent passes."""
        enabled = self.meta_autocast and torch.is_autocast_enabled(device.type)
        return torch.autocast(device.type, dtype=torch.get_autocast_dtype(device.type), enabled=enabled)


def as_labels(output: Tensor | Labels) -> Labels:
    """Return a generator's output as a tuple."""
    return (output,) if isinstance(output, Tensor) else tuple(output)


def logits_pair(output: object) -> tuple[Tensor, Tensor]:
    """Return a network's output as (primary, auxiliary) logits.

    Raises:
        ValueError: if it is anything else than two tensors.
    """
    if isinstance(output, tuple) and len(output) == 2 and all(isinstance(t, Tensor) for t in output):
        return output
    raise ValueError(
        "the network must return (primary logits (N, C), auxiliary logits (N, Σψ)), "
        f"got {type(output).__name__}: maxl_lightning.networks.MultiTaskNetwork turns any trunk into one that does."
    )
