"""Saved labels: what was written comes back exactly, and nothing that does not fit."""

import pandas
import pytest
import torch
from tiny_folders import write_picture

from maxl_lightning.datamodules import DigitsDataModule, ImageFolderDataModule
from maxl_lightning.datasets import DatasetView, Digits
from maxl_lightning.functional import hierarchy_mask, masked_softmax
from maxl_lightning.labels import SavedLabels
from maxl_lightning.labels.table import files_of, label_table, read_table, write_table

PSI = (2, 3)
IMAGES = torch.tensor([40, 3, 900, 17, 5, 64])


@pytest.fixture(scope="module")
def digits():
    return Digits()


@pytest.fixture(scope="module")
def soft(digits):
    """Soft labels as a generator gives them: nothing outside the image's own block."""
    logits = 5 * torch.randn(len(IMAGES), sum(PSI), generator=torch.Generator().manual_seed(0))
    return masked_softmax(logits, hierarchy_mask(PSI)[digits.targets[IMAGES]])


@pytest.fixture(params=[".parquet", ".csv"])
def file(request, tmp_path, digits, soft):
    path = tmp_path / f"labels{request.param}"
    write_table(path, label_table(IMAGES, digits.targets[IMAGES], soft, ("even", "odd"), PSI))
    return path


def test_a_table_has_a_row_an_image_in_the_order_of_their_numbers(file, digits, soft):
    table = read_table(file)
    order = IMAGES.argsort()
    assert list(table.columns[:5]) == ["index", "primary", "class_name", "label", "confidence"]
    assert list(table.columns[5:]) == ["soft_0_0", "soft_0_1", "soft_1_0", "soft_1_1", "soft_1_2"]
    assert table["index"].tolist() == IMAGES[order].tolist()
    assert table["primary"].tolist() == digits.targets[IMAGES[order]].tolist()
    assert table["class_name"].tolist() == [("even", "odd")[c] for c in table["primary"]]
    assert table["label"].tolist() == soft[order].argmax(dim=1).tolist()
    assert table["confidence"].astype("float32").tolist() == soft[order].amax(dim=1).tolist()


def test_labels_come_back_bit_for_bit_in_the_order_of_the_images(file, digits, soft):
    some = [5, 0, 2]
    view = DatasetView(digits, IMAGES[some])
    assert torch.equal(SavedLabels(str(file))(view, PSI), soft[some])
    hard = SavedLabels(str(file), soft=False)(view, PSI)
    assert hard.dtype == torch.int64
    assert torch.equal(hard, soft[some].argmax(dim=1))


def test_a_data_module_hands_them_out_with_the_images(tmp_path):
    data = DigitsDataModule(psi=3)
    data.setup("fit")
    images = data.train_set
    soft = hierarchy_mask((3, 3))[images.targets] * torch.tensor([0.5, 0.25, 0.25] * 2)
    write_table(tmp_path / "l.csv", label_table(images.indices, images.targets, soft, data.class_names, (3, 3)))
    taught = DigitsDataModule(psi=3, auxiliary_labels=SavedLabels(str(tmp_path / "l.csv")))
    taught.setup("fit")
    assert torch.equal(taught.train_dataset().labels, soft)


def test_labels_go_with_their_files(tmp_path):
    """In a folder, an image's number changes with other files and, where test images are held out, with the split."""
    for name in [f"{kind}/{number:02d}.png" for kind in ("cat", "dog") for number in range(20)]:
        write_picture(tmp_path / "images" / name, size=(8, 8))
    options = {"psi": 2, "val_fraction": 0, "num_workers": 0, "image_size": 8}
    labelled = ImageFolderDataModule(str(tmp_path / "images"), test_dir=str(tmp_path / "images"), **options)
    labelled.setup("fit")
    images, files = labelled.train_set, files_of(labelled.train_set)
    assert files[:2] == ["cat/00.png", "cat/01.png"]
    last = torch.tensor([int(file[-5]) % 2 for file in files])  # a label that the file's name tells
    soft = torch.nn.functional.one_hot(2 * images.targets + last, 4).float()
    table = label_table(images.indices, images.targets, soft, labelled.class_names, (2, 2), files)
    write_table(tmp_path / "l.csv", table)
    (tmp_path / "images" / "cat" / "00.png").unlink()
    labels = SavedLabels(str(tmp_path / "l.csv"), soft=False)
    for seed in (0, 1):
        taught = ImageFolderDataModule(str(tmp_path / "images"), split_seed=seed, auxiliary_labels=labels, **options)
        taught.setup("fit")
        expected = [2 * (file[0] == "d") + int(file[-5]) % 2 for file in files_of(taught.train_set)]
        assert taught.train_dataset().labels.tolist() == expected
    write_picture(tmp_path / "images" / "dog" / "new.png", size=(8, 8))
    with pytest.raises(ValueError, match=r"no label of image dog/new.png \(1 of 40 training images"):
        ImageFolderDataModule(
            str(tmp_path / "images"), str(tmp_path / "images"), auxiliary_labels=labels, **options
        ).setup("fit")


# what does not fit


def test_a_file_of_another_kind_is_refused_at_once():
    with pytest.raises(ValueError, match=r"labels.xlsx is neither a .parquet nor a .csv file"):
        SavedLabels("labels.xlsx")


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_a_file_that_is_not_there_is_named_with_the_remedy(digits, tmp_path, suffix):
    with pytest.raises(FileNotFoundError, match=rf"no file .*gone{suffix}: write one with `maxl labels"):
        SavedLabels(str(tmp_path / f"gone{suffix}"))(DatasetView(digits, IMAGES), PSI)


@pytest.mark.parametrize("content", [b"", b"\x00\xff\x00", "half"])
def test_a_file_that_cannot_be_read_is_named(file, digits, content):
    file.write_bytes(file.read_bytes()[:30] if content == "half" else content)
    with pytest.raises(ValueError, match=rf"{file.name} (cannot be read|has no column)"):
        SavedLabels(str(file))(DatasetView(digits, IMAGES), PSI)


@pytest.mark.parametrize(("psi", "shown"), [((3, 2), r"\[3, 2\]"), ((1, 3), r"\[1, 3\]"), ((2, 3, 1), r"\[2, 3, 1\]")])
def test_another_hierarchy_or_number_of_classes_is_refused(file, digits, psi, shown):
    with pytest.raises(ValueError, match=rf"labels for psi=\[2, 3\], but the data has psi={shown}"):
        SavedLabels(str(file))(DatasetView(digits, IMAGES), psi)


def test_missing_images_are_refused(file, digits):
    view = DatasetView(digits, [3, 8, 17, 9])
    with pytest.raises(ValueError, match=r"no label of image 8 \(2 of 4 training images are missing\)"):
        SavedLabels(str(file))(view, PSI)


def test_images_of_another_class_are_refused(file, digits):
    relabelled = Digits()
    relabelled.targets[17] = 1 - relabelled.targets[17]
    here, there = int(relabelled.targets[17]), int(digits.targets[17])
    with pytest.raises(ValueError, match=rf"image 17 is of primary class {here}, but of class {there} in .*\(1 of 6"):
        SavedLabels(str(file))(DatasetView(relabelled, IMAGES), PSI)


def test_an_image_with_two_rows_is_refused(file, digits):
    table = read_table(file)
    write_table(file, pandas.concat([table, table[2:3]]))
    with pytest.raises(ValueError, match="two rows for image 17"):
        SavedLabels(str(file))(DatasetView(digits, IMAGES), PSI)


@pytest.mark.parametrize("column", ["index", "primary", "label", "soft_1_0"])
def test_a_table_without_a_column_is_refused(file, digits, column):
    write_table(file, read_table(file).drop(columns=column))
    with pytest.raises(ValueError, match=f"{file.name} has no column '{column}'"):
        SavedLabels(str(file))(DatasetView(digits, IMAGES), PSI)


@pytest.mark.parametrize(("column", "kind"), [("primary", "whole numbers"), ("label", "whole"), ("soft_0_1", "probab")])
def test_values_of_another_type_are_refused(file, digits, column, kind):
    write_table(file, read_table(file).assign(**{column: "no"}))
    with pytest.raises(ValueError, match=f"something else than {kind}.* in the column '{column}'"):
        SavedLabels(str(file))(DatasetView(digits, IMAGES), PSI)


def test_rows_that_are_no_distributions_are_refused_by_the_data_module(tmp_path):
    data = DigitsDataModule(psi=1)
    data.setup("fit")
    images = data.train_set
    soft = torch.full((len(images), 2), 0.7)
    write_table(tmp_path / "l.csv", label_table(images.indices, images.targets, soft, data.class_names, (1, 1)))
    with pytest.raises(ValueError, match="summing to one"):
        DigitsDataModule(psi=1, auxiliary_labels=SavedLabels(str(tmp_path / "l.csv"))).setup("fit")


def test_an_interruption_leaves_the_old_table(file, monkeypatch):
    before = file.read_bytes()
    table = read_table(file)

    def interrupted(self, path, **options):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(pandas.DataFrame, "to_csv", interrupted)
    monkeypatch.setattr(pandas.DataFrame, "to_parquet", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_table(file, table)
    assert list(file.parent.iterdir()) == [file]
    assert file.read_bytes() == before
