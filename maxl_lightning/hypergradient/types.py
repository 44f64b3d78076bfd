"""The words the estimators share."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from torch import Tensor

Tensors: TypeAlias = dict[str, Tensor]
"""Tensors by parameter name; a name that is missing stands for zero."""

Pullback: TypeAlias = Callable[[Tensors], Tensors]
"""Multiplies a cotangent by the transposed derivative of the step it belongs to."""

Reduce: TypeAlias = Callable[[list[Tensor], int], list[Tensor]]
"""Averages tensors over processes, weighted by each process's number of images."""


class MicroBatch(NamedTuple):
    """One batch as the loader gives it.

    Attributes:
        x: images ``(N, …)``.
        y: primary classes ``(N,)``, int64.
        auxiliary: given auxiliary labels, class indices ``(N,)`` or soft labels ``(N, Σψ)``; ``None`` where
            labels are generated or not needed.
    """

    x: Tensor
    y: Tensor
    auxiliary: Tensor | None = None


def single_process(tensors: list[Tensor], weight: int) -> list[Tensor]:
    """Return the tensors as they are: the reduction of a single process."""
    return tensors
