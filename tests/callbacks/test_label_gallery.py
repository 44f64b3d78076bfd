"""The gallery shows the images that the labels are surest of, as they are."""

from pathlib import Path

import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningDataModule
from PIL import Image
from torch.utils.data import DataLoader, TensorDataset
from watching import PSI, FixedGenerator, Shades, digits, maxl, watch

from maxl_lightning.callbacks import LabelGallery
from maxl_lightning.callbacks.mosaic import displayable, mosaic, shrink

LABELS = FixedGenerator(lambda b: torch.cat([5 * b, -5 * b, 0 * b - 2, 0 * b, b, 1 - b], dim=1))
"""Class 0 is of bright images, class 1 of dark ones, class 2 of none; 4 of bright and 5 of dark ones."""


def brightness(row):
    return row.images.mean(dim=(1, 2, 3)).tolist()


def gallery(data=None, **options):
    callback = LabelGallery(**{"images_per_class": 3, "mean": [0.0], "std": [1.0], **options})
    watch([callback], maxl(3, PSI, generator=LABELS), data or Shades(30))
    return callback


def test_the_surest_images_come_first():
    rows = gallery().rows
    assert sorted(rows) == [0, 2]  # class 1 is not split
    bright, dark, none = rows[0]
    own = [i / 30 for i in range(0, 30, 3)]
    assert brightness(bright) == pytest.approx(own[:-4:-1])
    assert brightness(dark) == pytest.approx(own[:3])
    assert none.share == 0
    assert bright.share + dark.share == pytest.approx(1)
    logits = torch.tensor([5 * own[-1], -5 * own[-1], -2])
    assert float(bright.probabilities[0]) == pytest.approx(float(logits.softmax(0)[0]))
    assert bright.probabilities.tolist() == sorted(bright.probabilities.tolist(), reverse=True)


def test_primary_classes_by_number_and_by_name():
    assert list(gallery(primary_classes=[2, "one_b"], class_names=["a", "one b", "c"]).rows) == [2, 1]
    with pytest.raises(ValueError, match=r"primary_classes has 'x', but the classes are a, b, c"):
        gallery(primary_classes=["x"], class_names=["a", "b", "c"])
    with pytest.raises(ValueError, match="primary_classes has 3"):
        gallery(primary_classes=[3])


def test_only_images_of_the_classes_shown_are_read():
    callback = gallery(primary_classes=[2], num_images=5)
    assert len(callback.sample.indices) == 5
    assert {int(index) % 3 for index in callback.sample.indices} == {2}


def test_a_class_without_images_is_refused():
    data = Shades(30)
    data.targets = [0] * 30
    with pytest.raises(MisconfigurationException, match="no images of the primary classes 2"):
        gallery(data, primary_classes=[2])


def test_few_images_leave_the_row_open():
    rows = gallery(Shades(6)).rows
    assert [len(row.images) for row in rows[0]] == [2, 2, 2]


@pytest.mark.parametrize(("side", "channels"), [(8, 1), (32, 3), (224, 3), (224, 1), (64, 4)])
def test_pictures_of_grey_and_colour_images_of_any_size(tmp_path, side, channels):
    callback = LabelGallery(images_per_class=3, num_images=12)
    module = maxl(3, PSI, channels=channels, generator=LABELS)
    made = watch([callback], module, Shades(9, side, channels), folder=tmp_path)
    assert callback.rows[0][0].images.shape[1:] == (min(channels, 3) if channels > 2 else 1, *(min(side, 96),) * 2)
    picture = Image.open(Path(made.log_dir, "figures", "label_gallery_epoch_001.png"))
    assert picture.size[0] > 300
    assert len(picture.convert("RGB").getcolors(2**24)) > 3


def test_normalisation_of_the_data_module_is_undone():
    data = digits()
    callback = LabelGallery(num_images=60)
    watch([callback], maxl(), data)
    raw = {tuple(data.train_set.source.images[i].flatten().tolist()) for i in data.train_set.indices}
    shown = torch.cat([row.images for rows in callback.rows.values() for row in rows])
    assert all(any(torch.allclose(image.flatten(), torch.tensor(r), atol=1e-5) for r in raw) for image in shown[:5])
    assert callback.names == ("even", "odd")


def test_unknown_normalisation_is_stretched():
    images = torch.tensor([-2.0, 0.0, 6.0]).view(3, 1, 1, 1).expand(3, 3, 2, 2)
    assert displayable(images, None, None)[:, 0, 0, 0].tolist() == pytest.approx([0, 0.25, 1])
    assert displayable(images / 4, [0.5] * 3, [0.5] * 3)[:, 0, 0, 0].tolist() == pytest.approx([0.25, 0.5, 1])
    assert displayable(torch.zeros(2, 2, 3, 3), None, None).shape == (2, 1, 3, 3)


def test_large_images_are_scaled_down_as_they_are():
    ramp = torch.linspace(0, 1, 192).expand(1, 1, 96, 192)
    small = shrink(ramp)
    assert small.shape == (1, 1, 48, 96)
    assert torch.allclose(small[0, 0, 20], torch.linspace(0, 1, 96), atol=0.02)
    assert shrink(ramp[..., :8, :8]).shape == (1, 1, 8, 8)


def test_a_mosaic_holds_every_pixel():
    rows = [torch.rand(3, 3, 4, 6), torch.rand(2, 3, 4, 6)]
    picture = mosaic(rows, 3)
    assert picture.shape == (2 * 5, 3 * 7, 3)
    assert torch.equal(picture[5:9, 7:13], rows[1][1].permute(1, 2, 0))
    assert (picture[5:, 14:] == 1).all()
    assert (picture[4] == 1).all()


def test_what_is_no_image_is_refused():
    class Vectors(LightningDataModule):
        def train_dataloader(self):
            return DataLoader(TensorDataset(torch.randn(6, 4), torch.arange(6) % 3), batch_size=3)

    module = maxl(3, PSI, generator=LABELS)
    callback = LabelGallery()
    callback.names, callback.shown = ("a", "b", "c"), [0]
    with pytest.raises(MisconfigurationException, match=r"draws images .* shape \(3, 4\)"):
        callback.observe(module, iter([module._micro_batch(next(iter(Vectors().train_dataloader())))]))


def test_arguments_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="images_per_class is 0"):
        LabelGallery(images_per_class=0)
    with pytest.raises(ValueError, match="mean and std go together"):
        LabelGallery(mean=[0.5])
