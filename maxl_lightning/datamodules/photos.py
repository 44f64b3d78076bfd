"""What the datamodules of image files have in common: images of any shape, brought to one size."""

from collections.abc import Callable
from typing import Any

from torchvision.transforms import v2

from maxl_lightning.datamodules.base import ImageDataModule
from maxl_lightning.datamodules.transforms import random_crop
from maxl_lightning.datasets.arguments import check_at_least

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "PhotoDataModule"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

LARGE = 128
"""From this size on images are cropped as is usual for ImageNet, in pixels."""


class PhotoDataModule(ImageDataModule):
    """Base of the datamodules that read image files.

    Files are decoded by the loader's workers when it is their turn, so that memory holds no more than some batches.
    Evaluation shows the middle square of an image. In training, small images are that square, padded by 4 pixels,
    cropped at random and flipped, as in the paper; images of 128 pixels and more are random resized crops (Szegedy
    et al., CVPR 2015), flipped, and evaluation leaves the same margin of 1/8 around the square as is usual then.

    Normalisation is ImageNet's unless a subclass has its own.

    Args:
        image_size: height and width of what the network sees, in pixels.
        **options: of :class:`ImageDataModule`.

    Raises:
        ValueError: if an argument is out of its range.
    """

    mean = IMAGENET_MEAN
    std = IMAGENET_STD

    def __init__(self, image_size: int = 32, **options: Any) -> None:
        check_at_least(8, image_size=image_size)
        self.image_size = image_size
        super().__init__(**options)

    def sizing(self) -> Callable[[Any], Any]:
        """Return the resizing and the crop of the middle."""
        size = self.image_size
        shorter_side = round(size * 256 / 224) if size >= LARGE else size
        sizing: Callable[[Any], Any] = v2.Compose([v2.Resize(shorter_side), v2.CenterCrop(size)])
        return sizing

    def augmentation(self) -> Callable[[Any], Any]:
        """Return the random crop and flip."""
        size = self.image_size
        steps = (
            [v2.RandomResizedCrop(size), v2.RandomHorizontalFlip()]
            if size >= LARGE
            else [self.sizing(), random_crop(size, flip=True)]
        )
        augmentation: Callable[[Any], Any] = v2.Compose(steps)
        return augmentation
