"""How many features a trunk gives: declared, read from the trunk, or measured on one blank image."""

import itertools

import torch
from torch import Tensor, nn
from torch.func import functional_call

__all__ = ["check_features", "find_width", "measure_width"]


def find_width(trunk: nn.Module, declared: int | None, input_shape: tuple[int, int, int] | None) -> int:
    """Return the number of features d of a trunk.

    Measured if an image shape is given, else as declared, else the trunk's attribute ``out_features`` (this
    package, most custom trunks) or ``num_features`` (timm).

    Args:
        trunk: module from images to features ``(N, d)``.
        declared: d, or None.
        input_shape: shape ``(channels, height, width)`` of an image to measure d with, or None.

    Returns:
        The number of features d.

    Raises:
        ValueError: if d cannot be known, the trunk does not give ``(N, d)``, or the declared d is wrong.
    """
    if declared is not None and declared < 1:
        raise ValueError(f"feature_width is {declared}: give the trunk's positive number of output features.")
    if input_shape is not None:
        measured = measure_width(trunk, input_shape)
        if declared not in (None, measured):
            raise ValueError(
                f"feature_width is {declared} but the trunk {type(trunk).__name__} gives {measured} features "
                f"for an image of shape {tuple(input_shape)}: leave feature_width out."
            )
        return measured
    if declared is not None:
        return declared
    for name in ("out_features", "num_features"):
        width = getattr(trunk, name, None)
        if isinstance(width, int):
            return width
    raise ValueError(
        f"the feature width of the trunk {type(trunk).__name__} is unknown: it has no `out_features` and no "
        "`num_features`. Give feature_width, or input_shape=(channels, height, width) to have it measured."
    )


def measure_width(trunk: nn.Module, input_shape: tuple[int, int, int]) -> int:
    """Return the number of features that a trunk gives for one blank image, and leave no trace.

    Training flags, buffers and the random state are afterwards as they were before.

    Args:
        trunk: module from images to features ``(N, d)``.
        input_shape: shape ``(channels, height, width)`` of one image.

    Returns:
        The number of features d.

    Raises:
        ValueError: if the shape is not three positive numbers, or the trunk does not give ``(N, d)``.
    """
    if len(input_shape) != 3 or min(input_shape) < 1:
        raise ValueError(
            f"input_shape is {tuple(input_shape)}: give (channels, height, width), for example (3, 32, 32)."
        )
    tensors = itertools.chain(trunk.parameters(), trunk.buffers())
    like = next((tensor for tensor in tensors if tensor.is_floating_point()), torch.empty(0))
    image = torch.zeros(1, *input_shape, dtype=like.dtype, device=like.device)
    training = {module: module.training for module in trunk.modules()}
    trunk.eval()
    try:
        # Eval mode alone is not enough: some trunks count calls in a buffer or draw random numbers even then.
        with torch.no_grad(), torch.random.fork_rng([like.device] if like.is_cuda else []):
            buffers = {name: buffer.clone() for name, buffer in trunk.named_buffers()}
            features = functional_call(trunk, buffers, (image,))
    finally:
        for module, flag in training.items():
            module.training = flag
    check_features(features, trunk)
    return int(features.shape[1])


def check_features(features: Tensor, trunk: nn.Module, width: int | None = None) -> None:
    """Raise ``ValueError`` unless a trunk's output is a tensor ``(N, d)``, with d = ``width`` if given."""
    name = type(trunk).__name__
    if not isinstance(features, Tensor):
        raise ValueError(
            f"the trunk {name} returned a {type(features).__name__}: wrap it so that it returns one tensor "
            "of shape (N, d)."
        )
    if features.dim() != 2:
        raise ValueError(
            f"the trunk {name} returned features of shape {tuple(features.shape)} instead of (N, d): pool "
            "and flatten them, for example by nn.Sequential(trunk, nn.AdaptiveAvgPool2d(1), nn.Flatten())."
        )
    if width is not None and features.shape[1] != width:
        raise ValueError(
            f"the trunk {name} returned features of shape {tuple(features.shape)} where (N, {width}) was "
            "expected: replace its classification layer by nn.Identity(), or give "
            f"feature_width={features.shape[1]}."
        )
