"""Labels that took long, kept as one file named by a hash of what determines them."""

import hashlib
import json
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from maxl_lightning.datasets.view import DatasetView
from maxl_lightning.files import replacing
from maxl_lightning.labels.blocks import outside_own_block
from maxl_lightning.labels.checks import check_auxiliary_labels

__all__ = ["fingerprint", "load_labels", "save_labels"]

SAMPLED_IMAGES = 64


def fingerprint(dataset: DatasetView, settings: Mapping[str, Any], encoder: nn.Module | None = None) -> str:
    """Return a hash of the images, the settings and an encoder's weights.

    Of the images it takes in which they are, their primary classes, and the pixels of a sample spread evenly over
    them. Pixels are as the transform leaves them, so that they stand for the transform too.

    Args:
        dataset: the images.
        settings: numbers, strings and lists of them, by name.
        encoder: network whose weights count.

    Returns:
        Sixteen hexadecimal digits.
    """
    digest = hashlib.sha256()
    source = type(dataset.source)
    described = {**settings, "source": f"{source.__module__}.{source.__qualname__}", "encoder": _described(encoder)}
    digest.update(json.dumps(described, sort_keys=True).encode())
    sample = torch.linspace(0, len(dataset) - 1, min(SAMPLED_IMAGES, len(dataset))).round().long().tolist()
    for tensor in (dataset.indices, dataset.targets, *(dataset[position][0] for position in sample)):
        _add(digest, tensor)
    for tensor in () if encoder is None else encoder.state_dict().values():
        _add(digest, tensor)
    return digest.hexdigest()[:16]


def save_labels(path: Path, labels: Tensor, settings: Mapping[str, Any]) -> None:
    """Write labels, and for the reader's eye what they were made with.

    Args:
        path: the file; its folder is made if need be.
        labels: class indices ``(N,)``.
        settings: numbers, strings and lists of them, by name.
    """
    with replacing(path) as part, part.open("wb") as stream:
        # to a stream, since to a path torch writes the path's name into the file
        torch.save({"labels": labels, "settings": dict(settings)}, stream)


def load_labels(path: Path, dataset: DatasetView, psi: Sequence[int]) -> Tensor | None:
    """Return the labels of a file, or None, with a warning, if it is not what :func:`save_labels` wrote.

    Args:
        path: the file.
        dataset: the N images that the labels are of.
        psi: the hierarchy ψ.

    Returns:
        Class indices, int64 ``(N,)``; None if there is no such file, or a broken one.
    """
    if not path.is_file():
        return None
    try:
        labels: Tensor = torch.load(path, weights_only=True)["labels"]
        check_auxiliary_labels(labels, len(dataset), psi)
        if outside_own_block(labels, dataset.targets, psi).any():
            raise ValueError("a label lies outside the block of its primary class")
    except Exception as error:  # a broken file makes torch.load raise almost anything
        warnings.warn(f"{path} is broken and its labels are made anew: {error}", stacklevel=2)
        return None
    return labels


def _described(encoder: nn.Module | None) -> str:
    return re.sub(r" at 0x[0-9a-f]+", "", repr(encoder))  # addresses of functions differ from run to run


def _add(digest: Any, tensor: Tensor) -> None:
    values = tensor.detach().cpu().contiguous()
    digest.update(f"{values.dtype} {tuple(values.shape)}".encode())
    digest.update(values.reshape(-1).view(torch.uint8).numpy().tobytes())
