"""VGG-16 for small images: the paper's trunk for CIFAR-10, CIFAR-100 and down-scaled ImageNet."""

from torch import Tensor, nn

from maxl_lightning.networks.trunk import Trunk

__all__ = ["VGG16"]

BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
"""Channels and number of convolutions of each block."""

SMALLEST_IMAGE = 2 ** len(BLOCKS)


class VGG16(Trunk):
    """The thirteen convolutional layers of VGG-16 with batch normalisation (authors' released script).

    Five blocks of 3×3 convolution with bias, BatchNorm and ReLU, each closed by a 2×2 max-pool. A 32×32 image
    ends as 1×1; larger ones are averaged over what is left. Images ``(N, in_channels, H, W)`` with H, W ≥ 32
    → features ``(N, 512)``.

    Args:
        in_channels: channels of an image, 3 for colour.

    Raises:
        ValueError: in the forward pass, if the images are smaller than 32×32.
    """

    def __init__(self, in_channels: int = 3) -> None:
        super().__init__(out_features=BLOCKS[-1][0])
        self.blocks = nn.Sequential()
        for channels, convolutions in BLOCKS:
            self.blocks.append(_block(in_channels, channels, convolutions))
            in_channels = channels

    def forward(self, x: Tensor) -> Tensor:
        """Return features ``(N, 512)`` of images ``(N, in_channels, H, W)``."""
        if min(x.shape[-2:]) < SMALLEST_IMAGE:
            raise ValueError(
                f"VGG16 needs images of at least {SMALLEST_IMAGE}×{SMALLEST_IMAGE} pixels, got "
                f"{x.shape[-2]}×{x.shape[-1]}: resize or pad them, or use ConvNet4 or ResNet32."
            )
        features: Tensor = self.blocks(x).mean(dim=(2, 3))
        return features


def _block(in_channels: int, channels: int, convolutions: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(convolutions):
        layers += [nn.Conv2d(in_channels, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU()]
        in_channels = channels
    return nn.Sequential(*layers, nn.MaxPool2d(2))
