"""Images that carry their own number, so that a batch tells which images it holds."""

import torch
from lightning.pytorch import LightningModule, Trainer
from torchvision.transforms import v2

from maxl_lightning.datamodules import ImageDataModule


class NumberedImages:
    """Image i is grey, with the brightness i in every pixel, and of class i % 2."""

    def __init__(self, size):
        self.targets = torch.arange(size) % 2

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, index):
        return torch.full((1, 4, 4), index, dtype=torch.uint8), int(self.targets[index])


class NumberedDataModule(ImageDataModule):
    """Normalisation gives the numbers back; a crop that pads by one pixel varies the images."""

    class_names = ("even", "odd")
    mean = (0.0,)
    std = (1 / 255,)

    def __init__(self, size=40, batch_size=8, num_workers=0, val_fraction=0.0, seed=0, **options):
        self.size = size
        super().__init__(
            batch_size=batch_size, num_workers=num_workers, val_fraction=val_fraction, seed=seed, **options
        )

    def train_source(self):
        return NumberedImages(self.size)

    def test_source(self):
        return NumberedImages(6)

    def augmentation(self):
        return v2.RandomCrop(4, padding=1)


class Recorder(LightningModule):
    """Keeps what it was shown as (epoch, images)."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.shown = []
        self.num_validated = 0

    def training_step(self, batch, batch_idx):
        self.shown.append((self.current_epoch, batch[0].clone()))
        return self.weight * batch[0].mean()

    def validation_step(self, batch, batch_idx):
        self.num_validated += len(batch[0])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


class Scribe(Recorder):
    """A recorder whose processes each leave a file behind."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder

    def on_train_end(self):
        shown = [(epoch, numbers(images)) for epoch, images in self.shown]
        torch.save(shown, self.folder / f"{self.global_rank}.pt")


def numbers(images):
    """Return the images' numbers; the crop leaves at least one pixel of the original."""
    return images.amax(dim=(1, 2, 3)).round().int().tolist()


def fitted(datamodule, max_epochs, ckpt_path=None, recorder=None, **flags):
    """Fit a recorder silently; return it and its trainer."""
    recorder = recorder or Recorder()
    flags = {"enable_checkpointing": False, "accelerator": "cpu", "devices": 1, **flags}
    trainer = Trainer(
        max_epochs=max_epochs, logger=False, enable_progress_bar=False, enable_model_summary=False, **flags
    )
    trainer.fit(recorder, datamodule=datamodule, ckpt_path=ckpt_path)
    return recorder, trainer
