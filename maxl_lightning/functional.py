"""The equations of MAXL as pure functions of tensors.

Source of every equation: Liu, Davison and Johns, *Self-Supervised Generalisation with Meta Auxiliary
Learning*, NeurIPS 2019 (arXiv 1901.08933), called "the paper" below, with the numbering of its first arXiv
version. Nothing here knows of Lightning.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = [
    "auxiliary_classes",
    "check_gamma",
    "focal_loss",
    "hierarchy_mask",
    "marginal_negative_entropy",
    "masked_softmax",
    "negative_entropy",
    "uniform_labels",
]


def auxiliary_classes(psi: int | Sequence[int], num_classes: int) -> tuple[int, ...]:
    """Return the hierarchy ψ as one number of auxiliary classes per primary class (paper, section 3.3).

    Args:
        psi: one number for all primary classes, or one number for each of them.
        num_classes: number of primary classes C.

    Returns:
        ψ with C positive entries.

    Raises:
        ValueError: if ψ has another length than C, or an entry that is not a positive whole number.

    >>> auxiliary_classes(5, num_classes=3)
    (5, 5, 5)
    >>> auxiliary_classes([5, 1, 4], num_classes=3)
    (5, 1, 4)
    """
    if isinstance(num_classes, bool) or not isinstance(num_classes, int) or num_classes < 1:
        raise ValueError(f"num_classes must be a positive whole number, got {num_classes!r}.")
    sizes = tuple(psi) if isinstance(psi, Iterable) else (psi,) * num_classes
    if len(sizes) != num_classes:
        raise ValueError(
            f"psi has {len(sizes)} entries but there are {num_classes} primary classes: "
            "give one number of auxiliary classes for each primary class, or a single number for all."
        )
    for primary, size in enumerate(sizes):
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ValueError(
                f"psi[{primary}] is {size!r}: every primary class needs a positive whole number of auxiliary "
                "classes (1 leaves the class unsplit)."
            )
    return sizes


def hierarchy_mask(psi: Sequence[int]) -> Tensor:
    """Return which auxiliary classes belong to which primary class (paper, section 3.3).

    Args:
        psi: number of auxiliary classes of each of the C primary classes; the blocks are contiguous.

    Returns:
        Boolean mask of shape ``(C, Σψ)``; row c is true on the block of primary class c.

    Raises:
        ValueError: if an entry of ψ is not a positive whole number.

    >>> hierarchy_mask([2, 1]).int()
    tensor([[1, 1, 0],
            [0, 0, 1]], dtype=torch.int32)
    """
    sizes = torch.tensor(auxiliary_classes(psi, len(psi)))
    owner = torch.repeat_interleave(torch.arange(len(psi)), sizes)
    return owner == torch.arange(len(psi)).unsqueeze(1)


def masked_softmax(logits: Tensor, mask: Tensor) -> Tensor:
    """Return the softmax over the classes that the mask allows, exactly zero elsewhere (paper, equation 5).

    Masked logits become −∞ before the softmax, so that nothing leaks into or out of the block, and no logit
    can overflow.

    Args:
        logits: ``(N, K)``.
        mask: boolean ``(N, K)``, at least one class allowed in each row.

    Returns:
        Probabilities ``(N, K)``; every row sums to one.

    Raises:
        ValueError: if the mask has another shape or type.

    >>> masked_softmax(torch.tensor([[0.0, 0.0, 9.0]]), torch.tensor([[True, True, False]]))
    tensor([[0.5000, 0.5000, 0.0000]])
    """
    if mask.dtype != torch.bool or mask.shape != logits.shape:
        raise ValueError(
            f"mask must be boolean and of the logits' shape {tuple(logits.shape)}, "
            f"got {mask.dtype} of shape {tuple(mask.shape)}."
        )
    return torch.softmax(logits.masked_fill(~mask, -torch.inf), dim=-1)


def uniform_labels(primary: Tensor, mask: Tensor) -> Tensor:
    """Return the uniform soft label over the block of each image's own primary class: the control.

    Args:
        primary: class indices ``(N,)``.
        mask: hierarchy mask ``(C, Σψ)``.

    Returns:
        Soft labels ``(N, Σψ)``, 1/ψ inside the block and 0 outside.

    >>> uniform_labels(torch.tensor([1, 0]), hierarchy_mask([2, 1]))
    tensor([[0.0000, 0.0000, 1.0000],
            [0.5000, 0.5000, 0.0000]])
    """
    block = mask[primary].to(torch.get_default_dtype())
    return block / block.sum(dim=1, keepdim=True)


def check_gamma(gamma: float) -> None:
    """Raise ``ValueError`` unless γ is 0 or at least 1: elsewhere the focal gradient is infinite at p = 1."""
    if not (gamma == 0 or gamma >= 1):
        raise ValueError(
            f"focal gamma is {gamma}: use 0 (cross-entropy) or a value of at least 1. "
            "Between 0 and 1, and below 0, the gradient is infinite for a perfectly classified image."
        )


def focal_loss(logits: Tensor, target: Tensor, gamma: float = 2.0) -> Tensor:
    """Return the focal loss of each image, −Σ_k t_k (1 − p_k)^γ log p_k (paper, equation 1).

    Computed from log-probabilities, and in float32 at least. γ = 0 is cross-entropy.

    Args:
        logits: ``(N, K)``.
        target: class indices ``(N,)`` of type int64, or soft labels ``(N, K)`` of floating type.
        gamma: focusing parameter γ, 0 or at least 1.

    Returns:
        One loss per image, ``(N,)``.

    Raises:
        ValueError: if γ lies between 0 and 1 or below 0, or the target's shape or type fits neither form.

    >>> focal_loss(torch.tensor([[0.0, 0.0]]), torch.tensor([1]))
    tensor([0.1733])
    >>> focal_loss(torch.tensor([[0.0, 0.0]]), torch.tensor([[0.5, 0.5]]), gamma=0.0)
    tensor([0.6931])
    """
    check_gamma(gamma)
    if logits.dtype in (torch.float16, torch.bfloat16):
        logits = logits.float()
    log_p = F.log_softmax(logits, dim=-1)
    if target.dtype == torch.int64 and target.shape == logits.shape[:1]:
        log_p = log_p.gather(1, target.unsqueeze(1)).squeeze(1)
        return _focal(log_p, gamma)
    if target.is_floating_point() and target.shape == logits.shape:
        return (target.to(log_p.dtype) * _focal(log_p, gamma)).sum(dim=1)
    raise ValueError(
        f"target must be class indices of type int64 and shape ({logits.shape[0]},), or soft labels of "
        f"floating type and shape {tuple(logits.shape)}; got {target.dtype} of shape {tuple(target.shape)}."
    )


def _focal(log_p: Tensor, gamma: float) -> Tensor:
    if gamma == 0:
        return -log_p
    one_minus_p = -torch.expm1(log_p)  # without cancellation near p = 1
    # For γ below 2 the second derivative of 0 ** γ is infinite, and the meta-gradient needs that derivative.
    return -(one_minus_p.clamp_min(torch.finfo(log_p.dtype).tiny) ** gamma) * log_p


def negative_entropy(probabilities: Tensor) -> Tensor:
    """Return Σ_k p_k log p_k over the last dimension; an absent class adds neither value nor gradient.

    ``torch.xlogy`` and ``torch.special.entr`` have the right value at p_k = 0 but a NaN gradient.

    Args:
        probabilities: ``(…, K)``.

    Returns:
        Negative entropy in nats, ``(…)``.

    >>> negative_entropy(torch.tensor([0.5, 0.5, 0.0]))
    tensor(-0.6931)
    """
    present = probabilities != 0  # not > 0, which would hide NaN
    safe = torch.where(present, probabilities, torch.ones_like(probabilities))
    return (safe * safe.log()).sum(dim=-1)


def marginal_negative_entropy(labels: Tensor) -> Tensor:
    """Return H = Σ_k m_k log m_k with m the batch mean of the generated labels (paper, equation 6).

    Minimising it spreads the generated labels over the classes, which keeps them from collapsing onto few.

    Args:
        labels: soft labels ``(N, Σψ)``.

    Returns:
        Scalar, in nats, between −log Σψ and 0.

    >>> marginal_negative_entropy(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    tensor(-0.6931)
    """
    return negative_entropy(labels.mean(dim=0))
