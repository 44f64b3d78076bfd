"""Saved labels: what one network has learned teaches another."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from maxl_lightning.datasets.view import DatasetView
from maxl_lightning.labels.base import AuxiliaryLabels
from maxl_lightning.labels.table import check_suffix, hierarchy, read_table, soft_columns

__all__ = ["SavedLabels"]


class SavedLabels(AuxiliaryLabels):
    """Read the labels that ``maxl labels`` wrote, so that labels learned by one network can teach another.

    Rows are matched with images by the images' numbers in their source, and must have the same primary classes.

    Args:
        path: a Parquet or CSV file.
        soft: hand out the soft labels; else the most probable class of each image.

    Raises:
        ValueError: if the file's suffix is neither ``.parquet`` nor ``.csv``.
    """

    def __init__(self, path: str, soft: bool = True) -> None:
        self.path = Path(path).expanduser()
        self.soft = soft
        check_suffix(self.path)

    def __call__(self, dataset: DatasetView, psi: Sequence[int]) -> Tensor:
        """Return soft labels, float32 ``(N, Σψ)``, or class indices ``(N,)``.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it cannot be read, is of another ψ, lacks an image, or knows one by another class.
        """
        table = read_table(self.path)
        if (own := hierarchy(table)) != list(psi):
            raise ValueError(
                f"{self.path} holds labels for psi={own}, but the data has psi={list(psi)}: set data.psi to the file's "
                "(and the number of classes with it), or write the labels of a network with this one."
            )
        from pandas import Index

        rows = Index(table["index"]).get_indexer(dataset.indices.numpy())
        self._check_all_there(dataset, torch.from_numpy(rows))
        table = table.iloc[rows]
        self._check_same_classes(dataset, torch.from_numpy(table["primary"].to_numpy(copy=True)))
        if self.soft:
            return torch.from_numpy(table[soft_columns(psi)].to_numpy("float32", copy=True))
        return torch.from_numpy(table["label"].to_numpy("int64", copy=True))

    def _check_all_there(self, dataset: DatasetView, rows: Tensor) -> None:
        missing = dataset.indices[rows < 0].tolist()
        if missing:
            raise ValueError(
                f"{self.path} has no label of image {missing[0]} ({len(missing)} of {len(dataset)} training images are "
                "missing): write the labels of the images that are trained on, with `maxl labels --split train` "
                "and the same data.split_seed, data.val_fraction and data.num_train."
            )

    def _check_same_classes(self, dataset: DatasetView, primary: Tensor) -> None:
        if (other := primary != dataset.targets).any():
            first = int(other.nonzero()[0])
            image, here, there = (int(values[first]) for values in (dataset.indices, dataset.targets, primary))
            raise ValueError(
                f"image {image} is of primary class {here}, but of class {there} in {self.path} ({int(other.sum())} of "
                f"{len(dataset)} images differ): the file is of other images or classes, or of another data.split_seed."
            )
