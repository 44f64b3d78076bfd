"""ResNet-32 for small images: the paper's trunk for CINIC-10 and UCF-101."""

from torch import Tensor, nn
from torch.nn import functional as F

from maxl_lightning.networks.trunk import Trunk

__all__ = ["ResNet32"]

BLOCKS_PER_STAGE = 5
"""n of the 6n + 2 weighted layers."""


class ResNet32(Trunk):
    """The CIFAR ResNet with 6n + 2 weighted layers for n = 5 (He et al., CVPR 2016, section 4.2).

    One 3×3 convolution, then three stages of five residual blocks with 16, 32 and 64 channels; the last of
    the 32 layers is the classifier, here the task head. Shortcuts have no parameters: option A of that
    paper. Images ``(N, in_channels, H, W)`` → features ``(N, 64)``.

    Args:
        in_channels: channels of an image, 3 for colour.
    """

    def __init__(self, in_channels: int = 3) -> None:
        super().__init__(out_features=64)
        self.conv = nn.Conv2d(in_channels, 16, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(16)
        self.stages = nn.Sequential(_stage(16, 16, stride=1), _stage(16, 32, stride=2), _stage(32, 64, stride=2))

    def forward(self, x: Tensor) -> Tensor:
        """Return features ``(N, 64)`` of images ``(N, in_channels, H, W)``."""
        features: Tensor = self.stages(F.relu(self.norm(self.conv(x)))).mean(dim=(2, 3))
        return features


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions with BatchNorm, added to a shortcut (He et al., section 3.2).

    Args:
        in_channels: channels of the input.
        channels: channels of the output, at least as many.
        stride: stride of the first convolution and of the shortcut.
    """

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.added_channels = channels - in_channels
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(N, channels, ⌈H / stride⌉, ⌈W / stride⌉)`` of ``(N, in_channels, H, W)``."""
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self._shortcut(x))

    def _shortcut(self, x: Tensor) -> Tensor:
        if self.added_channels == 0 and self.stride == 1:
            return x
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.added_channels))


def _stage(in_channels: int, channels: int, stride: int) -> nn.Sequential:
    first = ResidualBlock(in_channels, channels, stride)
    return nn.Sequential(first, *(ResidualBlock(channels, channels, 1) for _ in range(BLOCKS_PER_STAGE - 1)))
