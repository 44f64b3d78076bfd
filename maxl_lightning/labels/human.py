"""Human labels: the data set's own finer classes."""

from collections.abc import Sequence

import torch
from torch import Tensor

from maxl_lightning.datasets.view import DatasetView
from maxl_lightning.labels.base import AuxiliaryLabels
from maxl_lightning.labels.blocks import outside_own_block

__all__ = ["HumanLabels"]


class HumanLabels(AuxiliaryLabels):
    """Give every image the finer class that people gave it (paper, section 4.3).

    Σψ says which level of the data set's hierarchy is meant. The source of the images tells the classes by a method
    ``finer_targets(num_auxiliary)``, int64 and one for each of its images, numbered so that the finer classes of
    primary class 0 come first, then those of class 1, and so on.
    """

    def __call__(self, dataset: DatasetView, psi: Sequence[int]) -> Tensor:
        """Return class indices ``(N,)``, each in the block of the image's own primary class.

        Raises:
            ValueError: if the source knows no finer classes, or ψ is not that of the data set's hierarchy.
        """
        source, name = dataset.source, type(dataset.source).__name__
        finer_targets = getattr(source, "finer_targets", None)
        if finer_targets is None:
            raise ValueError(
                f"HumanLabels needs finer classes, but {name} knows none: give it a method "
                "finer_targets(num_auxiliary), or use another source of labels, for example KMeansLabels."
            )
        try:
            labels = torch.as_tensor(finer_targets(sum(psi)), dtype=torch.int64)
        except ValueError as error:
            raise ValueError(f"psi={list(psi)} asks {name} for {sum(psi)} finer classes: {error}") from error
        _check_hierarchy(labels, torch.as_tensor(source.targets), psi, name)
        return labels[dataset.indices]


def _check_hierarchy(labels: Tensor, primary: Tensor, psi: Sequence[int], name: str) -> None:
    """Raise ``ValueError`` naming both hierarchies unless every label lies in its primary class's block."""
    if not outside_own_block(labels, primary, psi).any():
        return
    own = [len(set(labels[primary == c].tolist())) for c in range(len(psi))]
    raise ValueError(
        f"psi is {list(psi)}, but the {sum(psi)} finer classes of {name} have the hierarchy psi={own}: set data.psi to "
        "that, or leave it out where the data module knows it."
    )
