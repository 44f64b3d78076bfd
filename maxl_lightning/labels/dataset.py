"""Images that are handed out with an auxiliary label."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.utils.data import Dataset

from maxl_lightning.datasets.view import DatasetView, Key, split_key
from maxl_lightning.labels.checks import check_auxiliary_labels

__all__ = ["AuxiliaryDataset"]


class AuxiliaryDataset(Dataset[tuple[Any, int, Tensor]]):
    """A view whose items are ``(image, primary, auxiliary)``.

    Args:
        view: the N images.
        labels: class indices ``(N,)`` or soft labels ``(N, Σψ)``.
        psi: the hierarchy ψ.

    Raises:
        ValueError: if the labels do not fit the view and ψ.
    """

    def __init__(self, view: DatasetView, labels: Tensor, psi: Sequence[int]) -> None:
        check_auxiliary_labels(labels, len(view), psi)
        self.view = view
        self.labels = labels

    @property
    def targets(self) -> Tensor:
        """Primary classes, int64 ``(N,)``."""
        return self.view.targets

    def __len__(self) -> int:
        return len(self.view)

    def __getitem__(self, key: Key) -> tuple[Any, int, Tensor]:
        image, primary = self.view[key]
        return image, primary, self.labels[split_key(key)[1]]
