"""The 4-layer ConvNet: the paper's trunk for MNIST and SVHN."""

from collections.abc import Sequence

from torch import Tensor, nn

from maxl_lightning.networks.trunk import Trunk

__all__ = ["ConvNet4"]


class ConvNet4(Trunk):
    """Four times 3×3 convolution, BatchNorm, ReLU and 2×2 max-pool, then a global average.

    The paper names a "4-layer ConvNet" (Table 1) and says no more: this is our reading of it, with the
    widths of VGG-16's first four blocks. Pooling rounds up, so that any image size works, 8×8 digits
    included. Images ``(N, in_channels, H, W)`` → features ``(N, channels[-1])``.

    Args:
        in_channels: channels of an image, 3 for colour, 1 for grey.
        channels: output channels of the four convolutions.

    Raises:
        ValueError: if there are not four positive numbers of channels.
    """

    def __init__(self, in_channels: int = 3, channels: Sequence[int] = (64, 128, 256, 512)) -> None:
        if len(channels) != 4 or min(channels) < 1:
            raise ValueError(f"channels is {list(channels)}: ConvNet4 needs four positive numbers, one per layer.")
        super().__init__(out_features=channels[-1])
        self.layers = nn.Sequential(
            *(_layer(before, after) for before, after in zip((in_channels, *channels[:-1]), channels, strict=True))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return features ``(N, channels[-1])`` of images ``(N, in_channels, H, W)``."""
        features: Tensor = self.layers(x).mean(dim=(2, 3))
        return features


def _layer(in_channels: int, channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, 3, padding=1),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.MaxPool2d(2, ceil_mode=True),
    )
