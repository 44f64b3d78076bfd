"""What images are clustered by: an autoencoder's latent, or the features of any encoder."""

import copy
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from maxl_lightning.datasets.seeding import seeded
from maxl_lightning.networks.autoencoder import Autoencoder
from maxl_lightning.networks.width import check_features

__all__ = ["autoencoder_latents", "encoder_features", "image_batches", "scaled_down", "train_autoencoder"]

READ_AT_ONCE = 256


def image_batches(dataset: Dataset[Any], num_workers: int = 0) -> Iterator[Tensor]:
    """Yield the images of a data set in its order, ``(≤ 256, channels, H, W)``.

    Args:
        dataset: its items begin with the image.
        num_workers: processes that read the images.
    """
    # a loader draws a seed for its workers: not from the generator that training uses
    loader = DataLoader(dataset, READ_AT_ONCE, num_workers=num_workers, generator=torch.Generator())
    for batch in loader:
        yield batch[0]


def scaled_down(images: Tensor, largest_side: int) -> Tensor:
    """Return images averaged down until no side is longer than ``largest_side``; smaller ones are left alone.

    Args:
        images: ``(N, channels, H, W)``.
        largest_side: in pixels.
    """
    height, width = images.shape[-2:]
    factor = largest_side / max(height, width)
    if factor >= 1:
        return images
    return F.adaptive_avg_pool2d(images, (max(1, round(height * factor)), max(1, round(width * factor))))


def encoder_features(encoder: nn.Module, batches: Iterable[Tensor]) -> Tensor:
    """Return the features that a copy of an encoder gives in evaluation mode.

    Args:
        encoder: images ``(N, channels, H, W)`` → features ``(N, d)``; left as it is.
        batches: of images.

    Returns:
        float32 ``(N, d)`` on the CPU, for the images of all batches.

    Raises:
        ValueError: if the encoder gives something else.
    """
    device = _device()
    encoder = copy.deepcopy(encoder).eval().to(device)
    features = _outputs(encoder, batches, device)
    check_features(features, encoder)
    return features


def autoencoder_latents(autoencoder: Autoencoder, images: Tensor) -> Tensor:
    """Return the latents of images, float32 ``(N, latent_size)`` on the CPU.

    Args:
        autoencoder: on any device.
        images: ``(N, channels, H, W)``.
    """
    return _outputs(autoencoder.encode, torch.split(images, READ_AT_ONCE), autoencoder.to_latent.weight.device)


def train_autoencoder(
    images: Tensor, latent_size: int, steps: int, batch_size: int, learning_rate: float, seed: int
) -> Autoencoder:
    """Train an autoencoder on images by the squared error, with Adam.

    Weights and batches are functions of the seed, and the global random state stays as it was.

    Args:
        images: ``(N, channels, H, W)``.
        latent_size: number of features of the latent.
        steps: number of batches to train on.
        batch_size: images in a batch; the last one of a pass over the images may be smaller.
        learning_rate: of Adam.
        seed: of weights and batches.

    Returns:
        The autoencoder, on the accelerator if there is one.
    """
    device = _device()
    channels, height, width = images.shape[1:]
    with seeded(seed):
        autoencoder = Autoencoder((channels, height, width), latent_size).to(device, images.dtype)
    optimizer = torch.optim.Adam(autoencoder.parameters(), lr=learning_rate)
    order = _batch_order(len(images), batch_size, seed)
    with torch.backends.cudnn.flags(enabled=True, deterministic=True):
        for _ in _progress(steps):
            batch = images[next(order)].to(device)
            optimizer.zero_grad()
            F.mse_loss(autoencoder(batch), batch).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return autoencoder


@torch.no_grad()
def _outputs(network: Callable[[Tensor], Tensor], batches: Iterable[Tensor], device: torch.device) -> Tensor:
    return torch.cat([network(images.to(device)).float().cpu() for images in batches])


def _batch_order(num_images: int, batch_size: int, seed: int) -> Iterator[Tensor]:
    """Yield the indices of batch after batch, each pass over the images in another order, without end."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield from torch.split(torch.randperm(num_images, generator=generator), batch_size)


def _progress(steps: int) -> Iterable[int]:
    console = Console(stderr=True)
    title = "Autoencoder for k-means labels"
    return track(range(steps), title, console=console, transient=True, disable=not console.is_terminal)


def _device() -> torch.device:
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
