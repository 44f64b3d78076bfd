"""Random labels: one fixed sub-class for every image."""

from collections.abc import Sequence

import torch
from torch import Tensor

from maxl_lightning.datasets.arguments import check_seed, default_seed
from maxl_lightning.datasets.seeding import derive_seed
from maxl_lightning.datasets.view import DatasetView
from maxl_lightning.labels.base import AuxiliaryLabels
from maxl_lightning.labels.blocks import block_starts

__all__ = ["RandomLabels"]


class RandomLabels(AuxiliaryLabels):
    """Give every image one fixed random sub-class of its primary class (paper, section 4.3).

    Sub-classes are drawn independently and with equal chances, so their sizes differ a little. The draw of an
    image is a function of (seed, the image's number in the source, ψ): which other images are trained on
    does not change it.

    Args:
        seed: seed of the draw; None stands for the seed of Lightning's ``seed_everything``, else 0, so that
            every run of a comparison over seeds draws anew.

    Raises:
        ValueError: if the seed is out of its range.
    """

    def __init__(self, seed: int | None = None) -> None:
        check_seed(seed=seed)
        self.seed = seed

    def __call__(self, dataset: DatasetView, psi: Sequence[int]) -> Tensor:
        """Return class indices ``(N,)``, each in the block of the image's own primary class."""
        # the key keeps these numbers apart from those that order the images under the same seed
        seed = derive_seed(default_seed() if self.seed is None else self.seed, *b"random labels")
        generator = torch.Generator().manual_seed(seed)
        uniform = torch.rand(len(dataset.source), generator=generator, dtype=torch.float64)[dataset.indices]
        within = (uniform * torch.tensor(psi)[dataset.targets]).long()
        return block_starts(psi)[dataset.targets] + within
