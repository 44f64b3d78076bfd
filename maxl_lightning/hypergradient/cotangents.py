"""Three ways to dL_pri(θ1⁺)/ds = ∇_s ⟨w ∇_z A(z, s), ż⟩, the cotangent on the generated labels.

ż is the derivative of the auxiliary logits along the tangent u. Forward mode computes it in one pass, without a
graph and without a second derivative of the network.
"""

from collections.abc import Callable
from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torch.autograd import forward_ad

from maxl_lightning.hypergradient.clipping import gradient_norm
from maxl_lightning.hypergradient.phases import Record
from maxl_lightning.hypergradient.problem import Labels, MetaProblem, logits_pair
from maxl_lightning.hypergradient.replay import trainable
from maxl_lightning.hypergradient.types import Tensors

Method: TypeAlias = Literal["forward", "double_backward", "finite_difference"]
Cotangent: TypeAlias = Callable[[MetaProblem, Record, Tensors, int], Labels]
"""(problem, record, tangent u, images in the batch) → cotangent on each of the generator's outputs."""


class NonFiniteTangentError(ArithmeticError):
    """Forward mode gave infinite or undefined numbers for a finite tangent."""


def forward_cotangent(problem: MetaProblem, record: Record, tangent: Tensors, count: int) -> Labels:
    """Return the cotangent by one forward-mode pass of the network at θ1 along u.

    Raises:
        NonFiniteTangentError: if ż is not finite although u is.
    """
    with problem.precision(record.batch.x.device):
        with torch.no_grad(), forward_ad.dual_level():
            parameters = {
                name: forward_ad.make_dual(p, tangent[name]) if name in tangent else p
                for name, p in trainable(problem.network).items()
            }
            _, auxiliary = logits_pair(record.network(parameters, record.batch.x))
            z, dz = forward_ad.unpack_dual(auxiliary)
        if dz is None:  # no tangent reached the auxiliary head
            dz = torch.zeros_like(z)
        if not dz.isfinite().all() and all(u.isfinite().all() for u in tangent.values()):
            raise NonFiniteTangentError("the derivative of the auxiliary logits is not finite")
        return _label_cotangent(problem, record, z, dz, count)


def _label_cotangent(problem: MetaProblem, record: Record, z: Tensor, dz: Tensor, count: int) -> Labels:
    """Return ∇_s ⟨w ∇_z A(z, s), ż⟩: second derivatives on ``(N, Σψ)`` logits only."""
    labels, z = _leaves(record.labels), z.detach().requires_grad_()
    with torch.enable_grad():
        loss = problem.weighted_auxiliary_loss(z, labels).sum() / count
        (slope,) = torch.autograd.grad(loss, z, create_graph=True)
        return _gradient((slope * dz).sum(), labels)


def double_backward_cotangent(problem: MetaProblem, record: Record, tangent: Tensors, count: int) -> Labels:
    """Return the cotangent as ∇_s ⟨∇_θ1 w A, u⟩, differentiating the backward pass of the whole network."""
    parameters = {name: p.requires_grad_() for name, p in trainable(problem.network).items()}
    labels = _leaves(record.labels)
    with problem.precision(record.batch.x.device), torch.enable_grad():
        _, auxiliary = logits_pair(record.network(parameters, record.batch.x))
        loss = problem.weighted_auxiliary_loss(auxiliary, labels).sum() / count
        along = [name for name in parameters if name in tangent]
        slopes = torch.autograd.grad(
            loss, [parameters[name] for name in along], create_graph=True, materialize_grads=True
        )
        inner = torch.stack([(s * tangent[name]).sum() for name, s in zip(along, slopes, strict=True)]).sum()
        return _gradient(inner, labels)


def finite_difference_cotangent(problem: MetaProblem, record: Record, tangent: Tensors, count: int) -> Labels:
    """Return the cotangent by a central difference of ∇_s A over θ1 ± ε u, ε = 0.01/|u| as in the authors' code.

    In float32 no ε is good: expect a relative error of several per cent.
    """
    norm = gradient_norm(tangent)
    step = torch.where(norm > 0, 0.01 / norm, torch.ones_like(norm))
    parameters = trainable(problem.network)
    plus, minus = (_label_gradient(problem, record, parameters, tangent, s, count) for s in (step, -step))
    return tuple((p - m) / (2 * step) for p, m in zip(plus, minus, strict=True))


def _label_gradient(
    problem: MetaProblem, record: Record, parameters: Tensors, tangent: Tensors, step: Tensor, count: int
) -> Labels:
    moved = {name: p + step * tangent[name] if name in tangent else p for name, p in parameters.items()}
    labels = _leaves(record.labels)
    with problem.precision(record.batch.x.device):
        with torch.no_grad():
            _, auxiliary = logits_pair(record.network(moved, record.batch.x))
        with torch.enable_grad():
            return _gradient(problem.weighted_auxiliary_loss(auxiliary, labels).sum() / count, labels)


def _leaves(labels: Labels) -> Labels:
    return tuple(label.detach().requires_grad_() for label in labels)


def _gradient(value: Tensor, labels: Labels) -> Labels:
    return torch.autograd.grad(value, labels, materialize_grads=True)


COTANGENTS: dict[Method, Cotangent] = {
    "forward": forward_cotangent,
    "double_backward": double_backward_cotangent,
    "finite_difference": finite_difference_cotangent,
}
