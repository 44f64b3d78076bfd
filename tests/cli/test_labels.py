"""``maxl labels``: the rows are what the generator says, and they teach another network."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pandas
import pytest
import torch
import yaml
from command_line import config

from maxl_lightning.cli import main
from maxl_lightning.cli.labels import images_of
from maxl_lightning.datamodules import DigitsDataModule
from maxl_lightning.modules import MultiTaskModule

pytestmark = pytest.mark.usefixtures("frozen_garbage", "own_arguments")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A finished run of MAXL on twenty digits."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["maxl"])
        cli = main(["fit", "--config", config(folder), "--test_after_fit=false"])
    run = Path(cli.trainer.log_dir)
    return SimpleNamespace(module=cli.model.eval(), data=cli.datamodule, folder=run, last=run / "checkpoints/last.ckpt")


def generated(module, images):
    """What the generator says of images, each by itself."""
    with torch.no_grad():
        rows = [
            module.label_generator(x.unsqueeze(0), torch.tensor([y]))
            for x, y in (images[i] for i in range(len(images)))
        ]
    return torch.cat(rows)


def soft(table):
    return torch.tensor(table.filter(like="soft_").to_numpy(), dtype=torch.float32)


def refused(capsys, *words):
    with pytest.raises(SystemExit) as ended:
        main(["labels", *map(str, words)])
    assert ended.value.code == 2
    return capsys.readouterr().err


@pytest.fixture(scope="module")
def table(trained, tmp_path_factory):
    """The labels of the training images."""
    out = tmp_path_factory.mktemp("table") / "labels.parquet"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["maxl"])
        main(["labels", "--ckpt_path", str(trained.last), "--out", str(out)])
    return out


def check_rows(table, module, images):
    """Fail unless there is a row for each image that says what the generator does."""
    assert table["index"].tolist() == images.indices.tolist()
    assert table["primary"].tolist() == images.targets.tolist()
    assert table["class_name"].tolist() == [("even", "odd")[c] for c in images.targets.tolist()]
    assert torch.allclose(soft(table), generated(module, images), atol=1e-6)
    assert table["label"].tolist() == soft(table).argmax(dim=1).tolist()
    assert torch.equal(soft(table).amax(dim=1), torch.tensor(table["confidence"], dtype=torch.float32))
    assert (soft(table)[images.targets == 0, 5:] == 0).all()


def test_rows_are_what_the_generator_says_of_each_training_image(trained, table):
    assert len(trained.data.train_set) == 20
    check_rows(pandas.read_parquet(table), trained.module, trained.data.train_set)


def test_other_splits_and_other_data_can_be_asked_for(trained, capsys):
    words = ["--split", "val", "--data.val_fraction=0.1", "--data.split_seed", "4"]
    main(["labels", "--ckpt_path", str(trained.last), "--out", "val.csv", *words])
    assert f"labels of 120 images: {Path('val.csv').resolve()}" in capsys.readouterr().out
    other = DigitsDataModule(val_fraction=0.1, split_seed=4)
    other.setup("fit")
    check_rows(pandas.read_csv("val.csv"), trained.module, other.val_set)


def test_test_images_replace_an_existing_table_only_on_demand(trained, capsys):
    Path("labels.csv").write_text("mine")
    words = ["--ckpt_path", str(trained.last), "--out", "labels.csv", "--split", "test"]
    assert "labels.csv exists: give --overwrite to replace it" in refused(capsys, *words)
    assert Path("labels.csv").read_text() == "mine"
    main(["labels", *words, "--overwrite"])
    trained.data.setup("test")
    check_rows(pandas.read_csv("labels.csv"), trained.module, trained.data.test_set)


@pytest.mark.parametrize("soft_wanted", [True, False])
def test_labels_of_one_network_teach_another(trained, table, tmp_path, soft_wanted):
    source = {"class_path": "SavedLabels", "init_args": {"path": str(table), "soft": soft_wanted}}
    path = config(tmp_path, MultiTaskModule)
    cli = main(["fit", "--config", path, "--data.auxiliary_labels", yaml.safe_dump(source), "--test_after_fit=false"])
    assert cli.trainer.global_step == 4
    expected = generated(trained.module, trained.data.train_set)
    given = cli.datamodule.train_dataset().labels
    if soft_wanted:
        assert torch.allclose(given, expected, atol=1e-6)
    else:
        assert torch.equal(given, expected.argmax(dim=1))


def test_the_configuration_is_that_beside_the_checkpoints_or_the_one_given(trained, tmp_path, capsys):
    lonely = tmp_path / "lonely" / "last.ckpt"
    lonely.parent.mkdir()
    lonely.write_bytes(trained.last.read_bytes())
    words = ["--ckpt_path", str(lonely), "--out", "a.csv"]
    assert f"there is no {tmp_path / 'config.yaml'}: give --config, the configuration" in refused(capsys, *words)
    main(["labels", *words, "--config", str(trained.folder / "config.yaml")])
    check_rows(pandas.read_csv("a.csv"), trained.module, trained.data.train_set)


def test_what_the_training_asked_of_its_trainer_does_not_matter(trained, tmp_path):
    """Several devices, lower precision, callbacks, limits: labels take one pass in one process, in float32."""
    content = yaml.safe_load((trained.folder / "config.yaml").read_text())
    content["trainer"].update(devices=8, num_nodes=4, strategy="ddp", precision="bf16-mixed", limit_predict_batches=1)
    content["data"]["init_args"]["eval_batch_size"] = 7  # so that there are more batches than the limit
    changed = tmp_path / "cluster.yaml"
    changed.write_text(yaml.safe_dump(content))
    runs = sorted(trained.folder.parent.iterdir())
    main(["labels", "--ckpt_path", str(trained.last), "--out", "c.csv", "--config", str(changed)])
    check_rows(pandas.read_csv("c.csv"), trained.module, trained.data.train_set)
    assert sorted(trained.folder.parent.iterdir()) == runs
    assert sorted(path.name for path in Path().iterdir()) == ["c.csv", "cluster.yaml"]


def test_what_cannot_be_done_is_refused_before_any_image_is_read(trained, tmp_path, capsys, monkeypatch):
    def read(self):
        raise AssertionError("the images are read")

    monkeypatch.setattr(DigitsDataModule, "train_source", read)
    single = config(tmp_path, MultiTaskModule)
    broken = tmp_path / "broken.ckpt"
    broken.write_bytes(trained.last.read_bytes()[:100])
    own = trained.folder / "config.yaml"
    wide = "--model.label_generator.trunk.init_args.channels=[4,4,4,8]"
    theirs = ["--data", "LightningDataModule", "--model.psi=5", "--model.num_classes=2"]
    for words, expected in (
        (["--ckpt_path", trained.last, "--out", "l.json"], "l.json is neither a .parquet nor a .csv file"),
        (["--ckpt_path", "gone.ckpt", "--out", "l.csv"], "there is no file gone.ckpt"),
        (["--ckpt_path", trained.last, "--out", "l.csv", "--config", "gone.yaml"], "there is no file gone.yaml"),
        (["--ckpt_path", broken, "--out", "l.csv", "--config", own], "broken.ckpt is no checkpoint that can be read"),
        (
            ["--ckpt_path", trained.last, "--out", "l.csv", "--config", single],
            "MultiTaskModule, which has no label gen",
        ),
        (
            ["--ckpt_path", trained.last, "--out", "l.csv", "--data.psi=3"],
            "trained with psi=[5, 5] but this module has",
        ),
        (["--ckpt_path", trained.last, "--out", "l.csv", wide], "does not fit the networks of"),
        (["--ckpt_path", trained.last, "--out", "l.csv", *theirs], "LightningDataModule is no ImageDataModule"),
        (["--ckpt_path", trained.last, "--out", "l.csv", "--split", "all"], "invalid choice: 'all'"),
        (["--out", "l.csv"], "--ckpt_path"),
    ):
        assert expected in refused(capsys, *words)
    assert not list(Path().glob("l.*"))


def test_a_split_without_images_is_refused():
    with pytest.raises(ValueError, match=r"the split 'val' has no images: the configuration has data.val_fraction=0"):
        images_of(DigitsDataModule(val_fraction=0), "val")


def test_the_help_says_what_is_written(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["labels", "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for word in ("--ckpt_path", "--out", "--split", "confidence", "SavedLabels", "--data."):
        assert word in text
