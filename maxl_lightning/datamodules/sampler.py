"""The order of the training images as a function of seed and epoch."""

import math
from collections.abc import Iterator, Sized
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DistributedSampler

from maxl_lightning.datasets.seeding import derive_seed

__all__ = ["EpochSampler"]


class EpochSampler(DistributedSampler[tuple[int, int]]):
    """Shuffle by (seed, epoch) and yield keys ``(epoch, index)``.

    Two runs that compare methods must see the same images in the same order, and a resumed run must go on as
    if it had never stopped: so the order comes from no generator that training shares. The epoch travels in
    the key because workers that persist over epochs cannot be told of a new one.

    It is a ``DistributedSampler`` with one process too: Lightning calls ``set_epoch`` before each epoch, and
    leaves a sampler of this type in place under ddp. If the processes do not divide the images evenly, the
    first images of the epoch's order are shown a second time at its end.

    Args:
        dataset: the data set, of which only the length is used.
        num_replicas: number of processes.
        rank: this process, from 0.
        seed: seed of the order, at least 0 and the same in every process.

    Attributes:
        skip: images of this process to leave out at the beginning of the next iteration, for a run that
            resumes in the middle of an epoch.
    """

    def __init__(self, dataset: Sized, num_replicas: int = 1, rank: int = 0, seed: int = 0) -> None:
        source: Any = dataset  # torch asks for a Dataset but uses the length alone
        super().__init__(source, num_replicas, rank, shuffle=True, seed=seed)
        self.skip = 0

    def __iter__(self) -> Iterator[tuple[int, int]]:
        epoch, skip, self.skip = self.epoch, self.skip, 0
        for index in self._order(epoch)[self.rank :: self.num_replicas][skip:].tolist():
            yield epoch, index

    def _order(self, epoch: int) -> Tensor:
        size: int = len(self.dataset)  # type: ignore[arg-type]  # as above
        generator = torch.Generator().manual_seed(derive_seed(self.seed, epoch))
        order = torch.randperm(size, generator=generator)
        return order.repeat(math.ceil(self.total_size / size))[: self.total_size]
