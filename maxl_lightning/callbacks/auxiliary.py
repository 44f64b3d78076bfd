"""The auxiliary labels of a sample, taken apart by primary class."""

from collections.abc import Iterator
from typing import cast

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor
from torch.nn import functional as F

from maxl_lightning.hypergradient import MicroBatch
from maxl_lightning.labels.blocks import block_starts
from maxl_lightning.modules import ClassificationModule, MAXLModule, MultiTaskModule

__all__ = ["blocks", "hierarchy", "read_labels", "soft_labels"]


def hierarchy(module: ClassificationModule) -> tuple[int, ...]:
    """Return a module's ψ."""
    return cast(MAXLModule | MultiTaskModule, module).psi


def blocks(psi: tuple[int, ...]) -> list[slice]:
    """Return the auxiliary classes of each primary class.

    >>> blocks((2, 1))
    [slice(0, 2, None), slice(2, 3, None)]
    """
    return [slice(start, start + size) for start, size in zip(block_starts(psi).tolist(), psi, strict=True)]


def soft_labels(module: ClassificationModule, batch: MicroBatch) -> Tensor:
    """Return the auxiliary labels of a batch as soft labels ``(N, Σψ)``, float32 on the CPU.

    Raises:
        MisconfigurationException: if the module has none.
    """
    labels = module.auxiliary_labels(batch)
    if labels is None:
        raise MisconfigurationException(f"{type(module).__name__} has no auxiliary labels to look at.")
    if not labels.is_floating_point():
        labels = F.one_hot(labels, sum(hierarchy(module)))
    return labels.detach().to("cpu", torch.float32)


def read_labels(module: ClassificationModule, batches: Iterator[MicroBatch]) -> tuple[Tensor, Tensor]:
    """Return primary classes ``(N,)`` and soft auxiliary labels ``(N, Σψ)`` of a sample, on the CPU."""
    pairs = [(batch.y.cpu(), soft_labels(module, batch)) for batch in batches]
    primary, labels = (torch.cat(parts) for parts in zip(*pairs, strict=True))
    return primary, labels
