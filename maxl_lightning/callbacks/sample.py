"""The images that a callback looks at, the same ones each time."""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, cast

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer
from torch import Tensor
from torch.utils._pytree import tree_leaves
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, default_collate

from maxl_lightning.datamodules import ImageDataModule

__all__ = ["Sample", "find_class_names", "training_images"]

KEPT_BYTES = 2**28
"""A sample up to this size, 256 MiB, stays in memory; a larger one is read again each time."""


class Sample:
    """Some images of a data set, chosen once and in equal numbers from each primary class.

    Where the data set does not tell its classes by an attribute ``targets``, the images are chosen from all alike.

    Args:
        dataset: gives the items of batches.
        num_images: how many images; fewer if the data set has no more.
        batch_size: images in a batch.
        collate: makes a batch of items.
        classes: primary classes to choose from; None stands for all.

    Attributes:
        dataset: as given.
        indices: numbers of the images in the data set, int64 ``(num_images,)``.

    Raises:
        MisconfigurationException: if the data set has no numbered items, or no image of the classes.
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        num_images: int,
        batch_size: int,
        collate: Callable[[list[Any]], Any] = default_collate,
        classes: Collection[int] | None = None,
    ) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.collate = collate
        if isinstance(dataset, IterableDataset) or not hasattr(dataset, "__len__"):
            raise MisconfigurationException(
                f"{type(dataset).__name__} has no numbered images to choose some from: give the callback a data set "
                "that has, dataset=…, with items as in training."
            )
        self.indices = choose_images(known_targets(dataset), len(dataset), num_images, classes)
        if not len(self.indices):
            wanted = "" if classes is None else f" of the primary classes {', '.join(map(str, sorted(classes)))}"
            raise MisconfigurationException(f"{type(dataset).__name__} has no images{wanted} for the callback to show.")
        self._kept: list[Any] | None = None

    def __iter__(self) -> Iterator[Any]:
        if self._kept is not None:
            yield from self._kept
            return
        kept: list[Any] | None = []
        for chunk in torch.split(self.indices, self.batch_size):
            batch = self.collate([self.dataset[index] for index in chunk.tolist()])
            yield batch
            if kept is not None:
                kept.append(batch)
                kept = kept if _size(kept) <= KEPT_BYTES else None
        self._kept = kept


def _size(batches: list[Any]) -> int:
    return sum(leaf.nbytes for leaf in tree_leaves(batches) if isinstance(leaf, Tensor))


def choose_images(
    targets: Tensor | None, num_available: int, num_images: int, classes: Collection[int] | None = None
) -> Tensor:
    """Choose images at random, always the same: one of each class, then a second of each class, and so on.

    Args:
        targets: primary classes ``(num_available,)``, or None if they are not known.
        num_available: images that there are.
        num_images: images wanted.
        classes: primary classes to choose from; None stands for all.

    Returns:
        Numbers of the images in random order, int64.
    """
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(num_available, generator=generator)
    if targets is not None:
        if classes is not None:
            order = order[torch.isin(targets[order], torch.tensor(sorted(classes)))]
        order = order[torch.argsort(_turns(targets[order]), stable=True)]
    chosen = order[:num_images]
    return chosen[torch.randperm(len(chosen), generator=generator)]


def _turns(classes: Tensor) -> Tensor:
    """Return how many images of the same class come before each one, ``(N,)``."""
    by_class = torch.argsort(classes, stable=True)
    counts = torch.bincount(classes)
    first = (counts.cumsum(0) - counts)[classes[by_class]]
    turns = torch.empty_like(by_class)
    turns[by_class] = torch.arange(len(classes)) - first
    return turns


def known_targets(dataset: Any) -> Tensor | None:
    """Return the primary classes that a data set, or one that it is a part of, has as ``targets``, int64 ``(N,)``."""
    if isinstance(dataset, Subset):
        whole = known_targets(dataset.dataset)
        return None if whole is None else whole[torch.as_tensor(dataset.indices)]
    try:
        targets = torch.as_tensor(dataset.targets)
    except (AttributeError, TypeError, ValueError, RuntimeError):  # none, or not numbers
        return None
    fits = targets.shape == (len(dataset),) and not targets.is_floating_point()
    return targets.long() if fits and (targets >= 0).all() else None


def training_images(trainer: Trainer) -> Dataset[Any]:
    """Return the training images of a Trainer; those of this package's data modules without augmentation.

    Raises:
        MisconfigurationException: if its loader has no data set.
    """
    datamodule = getattr(trainer, "datamodule", None)
    if isinstance(datamodule, ImageDataModule):
        return datamodule.train_dataset(augmented=False)
    dataset = getattr(trainer.train_dataloader, "dataset", None)
    if dataset is None:
        raise MisconfigurationException(
            f"a {type(trainer.train_dataloader).__name__} of training images has no data set to choose some from: "
            "give the callback one, dataset=…, with items as in training."
        )
    return cast(Dataset[Any], dataset)


def collate_of(trainer: Trainer) -> Callable[[list[Any]], Any]:
    """Return what makes a batch of items in training."""
    loader = trainer.train_dataloader
    return loader.collate_fn if isinstance(loader, DataLoader) else default_collate


def find_class_names(given: Sequence[str] | None, trainer: Trainer, dataset: Any, num_classes: int) -> tuple[str, ...]:
    """Return the names of the primary classes, with spaces: those given, the data's, or else numbers.

    Raises:
        ValueError: if names are given for another number of classes.
    """
    if given is not None and len(given) != num_classes:
        raise ValueError(f"class_names has {len(given)} names, but there are {num_classes} primary classes.")
    while isinstance(dataset, Subset):
        dataset = dataset.dataset
    known = getattr(getattr(trainer, "datamodule", None), "class_names", None), getattr(dataset, "classes", None)
    names = next((n for n in (given, *known) if n is not None and len(n) == num_classes), range(num_classes))
    return tuple(str(name).replace("_", " ") for name in names)
