"""The contiguous blocks that a hierarchy ψ lays the auxiliary classes out in."""

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["block_starts", "outside_own_block"]


def block_starts(psi: Sequence[int]) -> Tensor:
    """Return the first auxiliary class of each primary class, int64 ``(C,)``.

    Args:
        psi: the hierarchy ψ, one number of auxiliary classes for each primary class.

    >>> block_starts([5, 1, 4])
    tensor([0, 5, 6])
    """
    sizes = torch.tensor(psi, dtype=torch.int64)
    return sizes.cumsum(0) - sizes


def outside_own_block(labels: Tensor, primary: Tensor, psi: Sequence[int]) -> Tensor:
    """Say which class indices lie outside the block of their image's own primary class.

    Args:
        labels: auxiliary classes, int64 ``(N,)``.
        primary: primary classes, int64 ``(N,)``.
        psi: the hierarchy ψ.

    Returns:
        Boolean ``(N,)``.

    >>> outside_own_block(torch.tensor([4, 4]), torch.tensor([0, 1]), [5, 5])
    tensor([False,  True])
    """
    within = labels - block_starts(psi)[primary]
    return (within < 0) | (within >= torch.tensor(psi)[primary])
