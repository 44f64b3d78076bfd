"""The datamodules' arguments must be such that Lightning's command line can read them."""

import pytest
from lightning.pytorch import LightningDataModule
from lightning.pytorch.cli import LightningCLI
from lightning.pytorch.demos.boring_classes import BoringModel
from tiny_folders import WNIDS, write_image_folder, write_imagenet

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


def test_ids_are_read_as_a_list_or_as_the_path_of_one(tmp_path):
    write_imagenet(tmp_path)
    (tmp_path / "wnids.txt").write_text("\n".join(WNIDS[:2]))
    for wnids in (f"[{WNIDS[0]},{WNIDS[1]}]", tmp_path / "wnids.txt"):
        datamodule = parsed(
            "--data=maxl_lightning.datamodules.ImageNetSubsetDataModule",
            f"--data.data_dir={tmp_path}",
            f"--data.wnids={wnids}",
            "--data.image_size=64",
            "--data.batch_size=7",
        )
        assert (datamodule.wnids, datamodule.image_size, datamodule.batch_size) == (WNIDS[:2], 64, 7)


def test_folders_and_normalisation_are_read(tmp_path):
    write_image_folder(tmp_path)
    datamodule = parsed(
        "--data=maxl_lightning.datamodules.ImageFolderDataModule",
        f"--data.train_dir={tmp_path / 'train'}",
        "--data.mean=[0.5,0.4,0.3]",
        "--data.std=[0.25,0.2,0.1]",
    )
    assert (datamodule.mean, datamodule.std, datamodule.test_dir) == ((0.5, 0.4, 0.3), (0.25, 0.2, 0.1), None)


@pytest.mark.parametrize("wrong", ["--data.num_classes=7", "--data.psi=many", "--data.batchsize=5"])
def test_what_makes_no_sense_is_refused(wrong, capsys):
    with pytest.raises(SystemExit):
        parsed("--data=maxl_lightning.datamodules.CIFAR100DataModule", wrong)
    assert wrong.removeprefix("--data.").split("=")[0] in capsys.readouterr().err
