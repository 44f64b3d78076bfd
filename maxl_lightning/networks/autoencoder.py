"""A small convolutional autoencoder: its latent is what images are clustered by."""

from torch import Tensor, nn

__all__ = ["Autoencoder"]

LARGEST_MAP = 4
"""Convolutions halve the image until neither side is longer than this."""

FIRST_CHANNELS, MOST_CHANNELS = 32, 128


class Autoencoder(nn.Module):
    """Convolutions of stride 2 down to a latent vector, and their transposes back to the image.

    The number of convolutions follows the image's size, so that any size works: 8×8 digits take one, 32×32 images
    three. The paper clusters "the latent representation of an autoencoder" (section 4.3) and says no more: this is
    our reading of it.

    Args:
        input_shape: shape ``(channels, height, width)`` of an image.
        latent_size: number of features of the latent.

    Raises:
        ValueError: if a size is not a positive number.
    """

    def __init__(self, input_shape: tuple[int, int, int], latent_size: int = 64) -> None:
        super().__init__()
        if len(input_shape) != 3 or min(*input_shape, latent_size) < 1:
            raise ValueError(
                f"input_shape is {tuple(input_shape)} and latent_size is {latent_size}: give (channels, height, width) "
                "and a size, all positive."
            )
        channels, height, width = input_shape
        self.sizes = [(height, width)]
        self.convolutions, self.transposes = nn.ModuleList(), nn.ModuleList()
        while not self.convolutions or max(self.sizes[-1]) > LARGEST_MAP:
            wider = min(FIRST_CHANNELS * 2 ** len(self.convolutions), MOST_CHANNELS)
            self.convolutions.append(nn.Conv2d(channels, wider, 3, stride=2, padding=1))
            self.transposes.insert(0, nn.ConvTranspose2d(wider, channels, 3, stride=2, padding=1))
            channels = wider
            height, width = (height + 1) // 2, (width + 1) // 2
            self.sizes.append((height, width))
        self.map_shape = (channels, height, width)
        map_size = channels * height * width
        self.to_latent = nn.Linear(map_size, latent_size)
        self.from_latent = nn.Linear(latent_size, map_size)

    def encode(self, x: Tensor) -> Tensor:
        """Return latents ``(N, latent_size)`` of images ``(N, channels, H, W)``."""
        for convolution in self.convolutions:
            x = convolution(x).relu()
        latent: Tensor = self.to_latent(x.flatten(1))
        return latent

    def decode(self, latent: Tensor) -> Tensor:
        """Return images ``(N, channels, H, W)`` of latents ``(N, latent_size)``."""
        x: Tensor = self.from_latent(latent).view(-1, *self.map_shape)
        for transpose, size in zip(self.transposes, self.sizes[-2::-1], strict=True):
            x = transpose(x.relu(), output_size=size)
        return x

    def forward(self, x: Tensor) -> Tensor:
        """Return the images ``(N, channels, H, W)`` as the latent remembers them."""
        return self.decode(self.encode(x))
