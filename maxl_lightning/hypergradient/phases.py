"""The step of MAXL in phases over micro-batches, each ending in one reduction over processes.

The hypergradient of a large batch is not the sum of those of its parts: all inner gradients must be there before
the one look-ahead, and all of v before the tangent. With one micro-batch and one process this is the plain case.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor
from torch.func import functional_call

from maxl_lightning.hypergradient.problem import Labels, MetaProblem, as_labels, logits_pair
from maxl_lightning.hypergradient.replay import Replay, copied_buffers, trainable, trainable_parameters
from maxl_lightning.hypergradient.types import MicroBatch, Reduce, Tensors

T = TypeVar("T")


@dataclass
class Record:
    """What the ordinary pass over one micro-batch leaves for the later phases.

    Attributes:
        batch: the images and their classes.
        labels: generated labels s, with the generator's graph if it is kept.
        primary_logits: ``(N, C)``, detached.
        network: runs the network again with the same dropout masks.
        generator: runs the generator again with the same dropout masks.
    """

    batch: MicroBatch
    labels: Labels
    primary_logits: Tensor
    network: Replay
    generator: Replay


@dataclass
class InnerPass:
    """Phase 1 over all micro-batches and processes.

    Attributes:
        records: one for each micro-batch of this process.
        count: images of this process.
        gradient: g = ∇_θ1 [L_pri + w A].
        marginal: mean generated label ``(Σψ,)``.
        primary_loss: mean over images.
        auxiliary_loss: mean over images, weighted by w.
    """

    records: list[Record]
    count: int
    gradient: Tensors
    marginal: Tensor
    primary_loss: Tensor
    auxiliary_loss: Tensor


def mean_gradient(
    parameters: Tensors,
    batches: Sequence[T],
    losses: Callable[[T], Sequence[Tensor]],
    count: int,
    *,
    unused: bool,
) -> tuple[Tensors, list[Tensor]]:
    """Return the gradient of the mean loss over micro-batches, and the mean of each loss.

    Args:
        parameters: leaves to differentiate for.
        batches: micro-batches.
        losses: micro-batch → losses per image ``(N,)``, which are added up.
        count: images in all micro-batches together.
        unused: whether parameters that the loss does not depend on get zeros; otherwise they are left out.
    """
    leaves = list(parameters.values())
    total: list[Tensor | None] = [None] * len(leaves)
    means: list[Tensor] = []
    for batch in batches:
        parts = [loss.sum() / count for loss in losses(batch)]
        gradients = torch.autograd.grad(torch.stack(parts).sum(), leaves, allow_unused=True, materialize_grads=unused)
        total = [g if t is None else t if g is None else t + g for t, g in zip(total, gradients, strict=True)]
        detached = [part.detach() for part in parts]
        means = [m + p for m, p in zip(means, detached, strict=True)] if means else detached
    return {n: g for n, g in zip(parameters, total, strict=True) if g is not None}, means


def inner_phase(problem: MetaProblem, batches: Sequence[MicroBatch], reduce: Reduce, *, meta: bool) -> InnerPass:
    """Run phase 1, the ordinary pass: labels, losses, inner gradient and label marginal.

    Running statistics and random numbers advance as in any training step.

    Args:
        problem: what is optimised.
        batches: the micro-batches of this process.
        reduce: the average over processes.
        meta: whether phases 2 and 3 follow, so that the generator's graph may be needed.

    Raises:
        ValueError: if there is no image.
    """
    records: list[Record] = []
    count = sum(len(batch.y) for batch in batches)
    if count == 0:
        raise ValueError("the batch is empty: a loss is the mean over at least one image.")

    def losses(batch: MicroBatch) -> tuple[Tensor, Tensor]:
        generator = Replay(problem.label_generator, batch.x.device)
        with torch.set_grad_enabled(meta and not problem.rerun_generator):
            labels = as_labels(problem.label_generator(batch.x, batch.y))
        network = Replay(problem.network, batch.x.device)
        primary, auxiliary = logits_pair(problem.network(batch.x))
        records.append(Record(batch, labels, primary.detach(), network, generator))
        constant = tuple(label.detach() for label in labels)
        return problem.inner_loss(primary, batch.y, auxiliary, constant)

    gradient, means = mean_gradient(trainable_parameters(problem.network), batches, losses, count, unused=True)
    marginal = torch.cat([record.labels[0].detach() for record in records]).mean(dim=0)
    *gradients, marginal, primary, auxiliary = reduce([*gradient.values(), marginal, *means], count)
    return InnerPass(records, count, dict(zip(gradient, gradients, strict=True)), marginal, primary, auxiliary)


def outer_phase(
    problem: MetaProblem, batches: Sequence[MicroBatch], ahead: Tensors, reduce: Reduce
) -> tuple[Tensors, Tensor]:
    """Run phase 2: v = ∇ L_pri at θ1⁺, with throw-away running statistics.

    Args:
        problem: what is optimised.
        batches: micro-batches of the outer loss.
        ahead: θ1⁺.
        reduce: the average over processes.

    Returns:
        v, without the parameters L_pri does not depend on, and L_pri(θ1⁺).
    """
    leaves = {name: p.detach().requires_grad_() for name, p in ahead.items()}
    count = sum(len(batch.y) for batch in batches)

    def losses(batch: MicroBatch) -> tuple[Tensor]:
        with problem.precision(batch.x.device):
            state = {**leaves, **copied_buffers(problem.network)}
            primary, _ = logits_pair(functional_call(problem.network, state, (batch.x,)))
            return (problem.primary_loss(primary, batch.y),)

    gradient, means = mean_gradient(leaves, batches, losses, count, unused=False)
    *gradients, loss = reduce([*gradient.values(), *means], count)
    return dict(zip(gradient, gradients, strict=True)), loss


def generator_phase(problem: MetaProblem, inner: InnerPass, cotangents: Sequence[Labels], reduce: Reduce) -> Tensors:
    """Run phase 3's backward pass: from cotangents on the labels to the gradient for θ2.

    The penalty's part uses the marginal over all micro-batches and processes.

    Args:
        problem: what is optimised.
        inner: phase 1.
        cotangents: dL_pri(θ1⁺)/ds for each micro-batch.
        reduce: the average over processes.
    """
    marginal = inner.marginal.detach().requires_grad_()
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(problem.label_penalty(marginal), marginal)
    parameters = trainable_parameters(problem.label_generator)
    total: list[Tensor] = []
    for record, (first, *rest) in zip(inner.records, cotangents, strict=True):
        cotangent = (first + (slope / inner.count).to(first.dtype), *rest)
        parts = _generator_backward(problem, record, parameters, cotangent)
        total = [t + p for t, p in zip(total, parts, strict=True)] if total else list(parts)
    return dict(zip(parameters, reduce(total, inner.count), strict=True))


def _generator_backward(
    problem: MetaProblem, record: Record, parameters: Tensors, cotangent: Labels
) -> tuple[Tensor, ...]:
    leaves, labels = parameters, record.labels
    if problem.rerun_generator:
        leaves = {name: p.requires_grad_() for name, p in trainable(problem.label_generator).items()}
        with torch.enable_grad():
            labels = as_labels(record.generator(leaves, record.batch.x, record.batch.y))
    used = [(s, c.to(s.dtype)) for s, c in zip(labels, cotangent, strict=True) if s.requires_grad]
    outputs, weights = zip(*used, strict=True)
    return torch.autograd.grad(outputs, list(leaves.values()), weights, materialize_grads=True)
