"""Small fits that the callbacks look at."""

import torch
from lightning.pytorch.loggers import CSVLogger
from torch import nn
from torch.utils.data import DataLoader, Dataset
from training import trainer

from maxl_lightning import ConvNet4, DigitsDataModule, LabelGenerator, MAXLModule, MultiTaskNetwork
from maxl_lightning.functional import hierarchy_mask, masked_softmax

PSI = (3, 1, 2)


def trunk(channels=1):
    """A trunk with batch statistics and dropout."""
    convnet = ConvNet4(in_channels=channels, channels=(4, 4, 6, 6))
    made = nn.Sequential(convnet, nn.Dropout(0.3))
    made.out_features = convnet.out_features
    return made


def maxl(num_classes=2, psi=(5, 5), channels=1, generator=None, **options):
    """A MAXLModule with constant learning rates."""
    torch.manual_seed(0)
    network = MultiTaskNetwork(num_classes, psi, trunk(channels))
    generator = generator or LabelGenerator(num_classes, psi, trunk(channels))
    options = {"lr_scheduler": None, "meta_lr_scheduler": None, **options}
    return MAXLModule(network, generator, num_classes=num_classes, psi=list(psi), **options)


def digits(num_train=60, **options):
    """A data module of few digits."""
    return DigitsDataModule(num_train=num_train, batch_size=20, eval_batch_size=100, seed=0, **options)


def watch(callbacks, module, data=None, epochs=1, folder=None, **options):
    """Fit with callbacks, and return the Trainer; ``data`` is a data module or a data set, by default digits.

    With a folder the run is logged there.
    """
    if folder is not None:
        options = {"logger": CSVLogger(folder, name="run"), "default_root_dir": folder, **options}
    made = trainer(epochs, callbacks, log_every_n_steps=1, **options)
    if isinstance(data, Dataset):
        made.fit(module, DataLoader(data, batch_size=10))
    else:
        made.fit(module, datamodule=data or digits())
    return made


class Shades(Dataset):
    """Image i of class i % 3, with a brightness of its own in every pixel."""

    def __init__(self, size=30, side=8, channels=1):
        self.targets = [i % 3 for i in range(size)]
        self.side, self.channels = side, channels

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, index):
        return torch.full((self.channels, self.side, self.side), index / len(self)), self.targets[index]


class FixedGenerator(nn.Module):
    """Labels that training does not change: logits for the six classes of ψ = (3, 1, 2) from brightness b.

    Args:
        logits: b ``(N, 1)`` → ``(N, 6)``.
    """

    def __init__(self, logits):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(6))
        self.logits = logits

    def forward(self, x, y):
        return masked_softmax(self.logits(x.mean(dim=(1, 2, 3))[:, None]) + 0 * self.unused, hierarchy_mask(PSI)[y])
