import warnings

import numpy as np
import pytest
from PIL import Image
from tiny_cifar100 import truncate
from tiny_folders import write_picture
from torch.utils.data import DataLoader

from maxl_lightning.datasets.image_files import ImageFiles
from maxl_lightning.datasets.photo import load_rgb

# mode, file format: print, grey, palette, one bit, transparency in a channel, and grey with transparency
MODES = [("RGB", "png"), ("CMYK", "jpg"), ("L", "jpg"), ("P", "png"), ("1", "png"), ("RGBA", "png"), ("LA", "png")]


@pytest.mark.parametrize(("mode", "kind"), MODES)
def test_every_kind_of_image_comes_out_as_rgb(tmp_path, mode, kind):
    path = write_picture(tmp_path / f"photo.{kind}", 200, mode=mode)
    with Image.open(path) as image:
        assert image.mode == mode
    image = load_rgb(path)
    assert (image.mode, image.size) == ("RGB", (40, 30))
    assert abs(np.asarray(image).mean() - 200) < 3


def test_a_transparent_colour_of_a_palette_is_no_reason_to_warn(tmp_path):
    path = write_picture(tmp_path / "photo.png", 200, mode="P", transparency=bytes(range(256)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert abs(np.asarray(load_rgb(path)).mean() - 200) < 3


def test_sixteen_bits_of_grey_become_eight(tmp_path):
    pixels = np.array([[0, 255, 256], [32768, 40000, 65535]], dtype=np.uint16)
    Image.fromarray(pixels).save(tmp_path / "scan.png")
    assert np.asarray(load_rgb(tmp_path / "scan.png"))[..., 1].tolist() == [[0, 0, 1], [128, 156, 255]]


def test_pixels_of_unknown_range_are_refused(tmp_path):
    Image.fromarray(np.zeros((2, 2), dtype=np.float32)).save(tmp_path / "depth.tiff")
    with pytest.raises(ValueError, match=r"depth.tiff cannot be read as an image .*32 bits of unknown range"):
        load_rgb(tmp_path / "depth.tiff")


def not_an_image(path):
    path.write_text("404 Not Found")


def empty(path):
    path.write_bytes(b"")


def missing(path):
    path.unlink()


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "bmp"])
@pytest.mark.parametrize("spoil", [truncate, not_an_image, empty, missing])
def test_a_broken_file_is_named(tmp_path, kind, spoil):
    path = write_picture(tmp_path / f"photo.{kind}")
    spoil(path)
    with pytest.raises(ValueError, match=f"{path} cannot be read as an image .*: replace the file or delete it"):
        load_rgb(path)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_broken_file_is_named_by_loaders_and_their_workers_too(tmp_path, num_workers):
    paths = [write_picture(tmp_path / f"{number}.jpg", size=(200, 200)) for number in range(4)]
    truncate(paths[2])
    loader = DataLoader(ImageFiles(paths, [0, 1, 0, 1]), batch_size=2, num_workers=num_workers, collate_fn=list)
    batches = iter(loader)
    assert [target for _, target in next(batches)] == [0, 1]
    with pytest.raises(ValueError, match=f"{paths[2]} cannot be read as an image.*truncated"):
        next(batches)


def test_files_and_classes_must_be_as_many():
    with pytest.raises(ValueError, match="2 image files but 1 classes"):
        ImageFiles(["a.jpg", "b.jpg"], [0])
