"""Gradient clipping with its transposed derivative, so that the look-ahead sees the step really taken."""

from typing import Literal, Protocol

import torch
from torch import Tensor

from maxl_lightning.hypergradient.types import Pullback, Tensors


class Clipping(Protocol):
    """Clips a gradient and returns the pullback of doing so."""

    def __call__(self, gradient: Tensors) -> tuple[Tensors, Pullback]:
        """Return the clipped gradient and the pullback."""


def unclipped(gradient: Tensors) -> tuple[Tensors, Pullback]:
    """Return the gradient as it is."""
    return gradient, lambda cotangent: cotangent


def gradient_norm(gradient: Tensors) -> Tensor:
    """Return the Euclidean norm over all parameters, a scalar."""
    return torch.nn.utils.get_total_norm(list(gradient.values()))


class ValueClipping:
    """Clamps every element to ±``limit``, as ``torch.nn.utils.clip_grad_value_`` does."""

    def __init__(self, limit: float) -> None:
        self.limit = limit

    def __call__(self, gradient: Tensors) -> tuple[Tensors, Pullback]:
        """Return the clipped gradient; the derivative is zero where an element was clipped."""
        clipped = {name: g.clamp(-self.limit, self.limit) for name, g in gradient.items()}

        def pullback(cotangent: Tensors) -> Tensors:
            return {name: torch.where(gradient[name].abs() <= self.limit, w, 0) for name, w in cotangent.items()}

        return clipped, pullback


class NormClipping:
    """Scales the whole gradient to a norm of at most ``limit``, as ``torch.nn.utils.clip_grad_norm_`` does.

    The norm couples all elements: every parameter with a gradient then has a tangent, the auxiliary head's too.
    """

    delta = 1e-6  # torch adds it to the norm before it divides

    def __init__(self, limit: float) -> None:
        self.limit = limit

    def __call__(self, gradient: Tensors) -> tuple[Tensors, Pullback]:
        """Return the clipped gradient and, with n = |g|, w ↦ c w/(n+δ) − c g ⟨g, w⟩/(n (n+δ)²)."""
        norm = gradient_norm(gradient)
        shifted = norm + self.delta
        active = shifted > self.limit
        scale = torch.where(active, self.limit / shifted, torch.ones_like(norm))
        clipped = {name: g * scale for name, g in gradient.items()}

        def pullback(cotangent: Tensors) -> Tensors:
            inner = sum((gradient[name] * w).sum() for name, w in cotangent.items())
            slope = torch.where(active, self.limit * inner / (norm * shifted**2), torch.zeros_like(norm))
            return {
                name: (cotangent[name] * scale if name in cotangent else 0) - slope * g for name, g in gradient.items()
            }

        return clipped, pullback


def make_clipping(limit: float | None, algorithm: Literal["norm", "value"]) -> Clipping:
    """Return the clipping for a limit; ``None`` means none.

    Raises:
        ValueError: if the limit is not positive or the algorithm is unknown.
    """
    if limit is None:
        return unclipped
    if not limit > 0:
        raise ValueError(f"a gradient clipping limit must be positive, got {limit}; None turns clipping off.")
    match algorithm:
        case "norm":
            return NormClipping(limit)
        case "value":
            return ValueClipping(limit)
    raise ValueError(f"gradient_clip_algorithm is {algorithm!r}: use 'norm' or 'value'.")
