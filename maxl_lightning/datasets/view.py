"""A part of a data set, seen through a transform whose randomness depends on image and epoch alone."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import Dataset

from maxl_lightning.datasets.seeding import derive_seed, seeded

__all__ = ["DatasetView", "Key", "LabelledImages", "split_key"]

Key = int | tuple[int, int]
"""What a view is indexed with: an index, or ``(epoch, index)`` as the epoch sampler yields it."""


class LabelledImages(Protocol):
    """What a view asks of its source: torchvision's classification data sets have it."""

    targets: Any  # the primary classes: a list in some data sets, a tensor in others

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


def split_key(key: Key) -> tuple[int, int]:
    """Return a key as ``(epoch, index)``; a bare index belongs to epoch 0.

    >>> split_key(7), split_key((2, 7))
    ((0, 7), (2, 7))
    """
    return key if isinstance(key, tuple) else (0, key)


class DatasetView(Dataset[tuple[Any, int]]):
    """Some images of a classification data set, transformed.

    Workers that persist over epochs hold a copy of the data set that cannot be told of a new epoch. So the
    epoch comes with the key, and the augmentation is a function of (seed, epoch, index) wherever it runs. The
    index is the image's number in the source: which other images are in the view does not change its
    augmentation.

    Args:
        source: gives ``(image, primary)`` for an index, and has the primary classes as ``targets``.
        indices: the images of the view, as numbers in the source; None takes all.
        transform: called with the image; None leaves it as it is.
        seed: seed of the transform's randomness, at least 0; None for a transform that draws nothing, which
            saves the time of seeding.

    Attributes:
        targets: primary classes of the view's images, int64 ``(N,)``, known without decoding an image.

    Raises:
        ValueError: if the source has no ``targets`` for all its images, an index lies outside the source, or
            the seed is negative.
    """

    def __init__(
        self,
        source: LabelledImages,
        indices: Sequence[int] | Tensor | None = None,
        transform: Callable[[Any], Any] | None = None,
        seed: int | None = None,
    ) -> None:
        if seed is not None and seed < 0:
            raise ValueError(f"seed is {seed}: use a whole number of at least 0, or None.")
        self.source = source
        self.indices = _checked_indices(indices, len(source))
        self.transform = transform
        self.seed = seed
        self.targets = _primary_classes(source)[self.indices]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, key: Key) -> tuple[Any, int]:
        epoch, position = split_key(key)
        index = int(self.indices[position])
        image, primary = self.source[index]
        return self._transformed(image, epoch, index), int(primary)

    def _transformed(self, image: Any, epoch: int, index: int) -> Any:
        if self.transform is None:
            return image
        if self.seed is None:
            return self.transform(image)
        with seeded(derive_seed(self.seed, epoch, index)):
            return self.transform(image)


def _checked_indices(indices: Sequence[int] | Tensor | None, num_images: int) -> Tensor:
    chosen = torch.arange(num_images) if indices is None else torch.as_tensor(indices, dtype=torch.int64)
    outside = chosen[(chosen < 0) | (chosen >= num_images)]
    if len(outside):
        raise ValueError(f"indices holds {int(outside[0])}, but the source has the images 0 to {num_images - 1}.")
    return chosen


def _primary_classes(source: LabelledImages) -> Tensor:
    targets = getattr(source, "targets", None)
    if targets is None or len(targets) != len(source):
        raise ValueError(
            f"{type(source).__name__} needs an attribute `targets` with the primary class of each of its "
            f"{len(source)} images: wrap it in a data set that has one."
        )
    return torch.as_tensor(targets, dtype=torch.int64)
