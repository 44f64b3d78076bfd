"""Saved labels: what one network has learned teaches another."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from maxl_lightning.datasets.view import DatasetView
from maxl_lightning.labels.base import AuxiliaryLabels
from maxl_lightning.labels.table import check_suffix, files_of, hierarchy, read_table, soft_columns

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["SavedLabels"]


class SavedLabels(AuxiliaryLabels):
    """Read the labels that ``maxl labels`` wrote, so that labels learned by one network can teach another.

    Rows are matched with images by the images' files, where the table and the source know them, else by the images'
    numbers in their source. They must have the same primary classes.

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
        rows = self._rows(table, dataset)
        table = table.iloc[rows]
        self._check_same_classes(dataset, torch.from_numpy(table["primary"].to_numpy(copy=True)))
        if self.soft:
            return torch.from_numpy(table[soft_columns(psi)].to_numpy("float32", copy=True))
        return torch.from_numpy(table["label"].to_numpy("int64", copy=True))

    def _rows(self, table: "DataFrame", dataset: DatasetView) -> Any:
        """Return the row of each image."""
        from pandas import Index

        # numbers in a folder change with its files, and with the split if its test images are held out
        files = files_of(dataset) if "file" in table else None
        keys = dataset.indices.tolist() if files is None else files
        rows = Index(table["index" if files is None else "file"]).get_indexer(keys)
        self._check_all_there([key for key, row in zip(keys, rows, strict=True) if row < 0], len(keys))
        return rows

    def _check_all_there(self, missing: Sequence[int | str], num_images: int) -> None:
        if missing:
            raise ValueError(
                f"{self.path} has no label of image {missing[0]} ({len(missing)} of {num_images} training images are "
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
