"""Image files of any kind as RGB."""

from pathlib import Path

import numpy as np
from PIL import Image

__all__ = ["load_rgb"]


def load_rgb(path: str | Path) -> Image.Image:
    """Decode an image file and return it in RGB with 8 bits a channel.

    Folders hold grey, transparent, palette and print (CMYK) images, but a network takes three channels. Pillow
    tells what is wrong with a broken file but not which one it is, so that is added here.

    Args:
        path: the file.

    Returns:
        The image in RGB; transparency is dropped, and 16 bits of grey become 8.

    Raises:
        ValueError: naming the file, if it is missing, broken, or of 32 bits a pixel, whose range nobody knows.
    """
    try:
        with Image.open(path) as image:
            return _as_rgb(image)
    except Exception as error:  # Pillow's decoders raise errors of many types, SyntaxError among them
        raise ValueError(
            f"{path} cannot be read as an image ({type(error).__name__}: {error}): replace the file or delete it."
        ) from error


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F"):
        raise ValueError(f"its pixels are of mode {image.mode}, 32 bits of unknown range, instead of 8 or 16 bits")
    if image.mode.startswith("I;16"):
        # Pillow would cut at 255, which turns almost every such image white
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if "transparency" in image.info:
        image = image.convert("RGBA")  # Pillow warns of the direct way
    return image.convert("RGB")
