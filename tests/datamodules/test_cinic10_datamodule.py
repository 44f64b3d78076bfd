import hashlib
import shutil
import tarfile

import pytest
from file_server import serving
from tiny_folders import write_cinic10

from maxl_lightning import CINIC10DataModule
from maxl_lightning.datamodules import cinic10


@pytest.fixture
def root(tmp_path):
    write_cinic10(tmp_path)
    return tmp_path


def ready(root, **options):
    datamodule = CINIC10DataModule(data_dir=str(root), num_workers=0, **options)
    datamodule.prepare_data()
    datamodule.setup()
    return datamodule


def files(part):
    source = part.source
    paths = source.paths if hasattr(source, "paths") else [path for path, _ in source.samples]
    return [paths[index] for index in part.indices.tolist()]


def test_the_given_validation_images_validate(root):
    datamodule = ready(root)
    parts = {"train": datamodule.train_set, "valid": datamodule.val_set, "test": datamodule.test_set}
    for name, part in parts.items():
        assert all(f"/CINIC-10/{name}/{datamodule.class_names[number]}/" in path
                   for path, number in zip(files(part), part.targets.tolist(), strict=True))  # fmt: skip
    assert [len(part) for part in (datamodule.train_set, datamodule.val_set)] == [60, 30]


def test_or_are_trained_on_and_a_share_of_all_validates(root):
    datamodule = ready(root, valid="train", val_fraction=1 / 3)
    assert [len(part) for part in (datamodule.train_set, datamodule.val_set)] == [60, 30]
    used = [*files(datamodule.train_set), *files(datamodule.val_set)]
    assert len(set(used)) == 90
    assert {path.split("/")[-3] for path in files(datamodule.train_set)} == {"train", "valid"}
    targets = [*datamodule.train_set.targets.tolist(), *datamodule.val_set.targets.tolist()]
    assert all(f"/{datamodule.class_names[number]}/" in path for path, number in zip(used, targets, strict=True))


def test_another_use_is_refused():
    with pytest.raises(ValueError, match="valid is 'test': choose"):
        CINIC10DataModule(valid="test")


def test_a_missing_class_is_named(root):
    shutil.rmtree(root / "CINIC-10" / "train" / "frog")
    with pytest.raises(FileNotFoundError, match=f"{root}/CINIC-10/train has no folders of the classes frog"):
        ready(root)


def test_it_is_downloaded_and_checked(tmp_path, monkeypatch):
    write_cinic10(tmp_path / "made")
    archive = tmp_path / "CINIC-10.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(tmp_path / "made" / "CINIC-10", arcname=".")
    md5 = hashlib.md5(archive.read_bytes(), usedforsecurity=False).hexdigest()
    with serving(tmp_path) as address:
        url = f"{address}CINIC-10.tar.gz"
        monkeypatch.setattr(cinic10, "ARCHIVE", cinic10.ARCHIVE._replace(url=url, md5=md5))
        datamodule = ready(tmp_path / "data")
    assert [len(part) for part in (datamodule.train_set, datamodule.val_set, datamodule.test_set)] == [60, 30, 20]
