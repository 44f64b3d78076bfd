"""The datamodules' arguments must be such that Lightning's command line can read them."""

import pytest
from lightning.pytorch import LightningDataModule
from lightning.pytorch.cli import LightningCLI
from lightning.pytorch.demos.boring_classes import BoringModel

from maxl_lightning.datamodules import CIFAR100DataModule
from maxl_lightning.labels import UniformLabels

pytestmark = pytest.mark.filterwarnings("ignore:LightningCLI's args parameter")


def parsed(*arguments):
    return LightningCLI(
        BoringModel,
        LightningDataModule,
        subclass_mode_data=True,
        seed_everything_default=False,
        run=False,
        args=["--trainer.accelerator=cpu", "--trainer.logger=false", *arguments],
    ).datamodule


def test_classes_lists_and_label_sources_are_read():
    datamodule = parsed(
        "--data=maxl_lightning.datamodules.CIFAR100DataModule",
        "--data.num_classes=3",
        "--data.psi=[2,3,4]",
        "--data.auxiliary_labels=maxl_lightning.labels.UniformLabels",
        "--data.val_fraction=0",
        "--data.num_train=null",
    )
    assert isinstance(datamodule, CIFAR100DataModule)
    assert (datamodule.num_classes, datamodule.psi, datamodule.val_fraction) == (3, (2, 3, 4), 0)
    assert isinstance(datamodule.auxiliary_labels, UniformLabels)


def test_a_single_psi_is_read():
    assert parsed("--data=maxl_lightning.datamodules.DigitsDataModule", "--data.psi=3").psi == (3, 3)


@pytest.mark.parametrize("wrong", ["--data.num_classes=7", "--data.psi=many", "--data.batchsize=5"])
def test_what_makes_no_sense_is_refused(wrong, capsys):
    with pytest.raises(SystemExit):
        parsed("--data=maxl_lightning.datamodules.CIFAR100DataModule", wrong)
    assert wrong.removeprefix("--data.").split("=")[0] in capsys.readouterr().err
