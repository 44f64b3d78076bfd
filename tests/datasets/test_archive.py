import hashlib
import tarfile

import pytest
from file_server import serving
from tiny_cifar100 import truncate
from tiny_folders import write_classes

from maxl_lightning.datasets.archive import archived_files, fetch_archive
from maxl_lightning.datasets.download import Download


@pytest.fixture
def offered(tmp_path):
    """A folder that offers an archive of six pictures below `pets-1`."""
    write_classes(tmp_path / "made", ("cat", "dog"), 3)
    path = tmp_path / "offered" / "pets.tar.gz"
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as tar:
        tar.add(tmp_path / "made", arcname="pets-1")
    return path


def files(root, offered, address):
    md5 = hashlib.md5(offered.read_bytes(), usedforsecurity=False).hexdigest()
    return archived_files("Pets", root, "pets", Download(f"{address}pets.tar.gz", md5, "pets.tar.gz"))


def pictures(folder):
    return sorted(path.name for path in folder.glob("*/*"))


EXPECTED = [f"{name}_{number}.JPEG" for name in ("cat", "dog") for number in range(3)]


def test_an_archive_is_fetched_and_unpacked_once(tmp_path, offered):
    root = tmp_path / "data"
    with serving(offered.parent) as address:
        fetch_archive(files(root, offered, address), inside="pets-1")
    assert pictures(root / "pets") == EXPECTED
    assert sorted(path.name for path in root.iterdir()) == ["pets", "pets.tar.gz"]
    (root / "pets.tar.gz").unlink()
    fetch_archive(files(root, offered, "http://127.0.0.1:9/"), inside="pets-1")  # nothing listens there


def test_the_whole_archive_can_be_the_folder(tmp_path, offered):
    root = tmp_path / "data"
    with serving(offered.parent) as address:
        fetch_archive(files(root, offered, address))
    assert pictures(root / "pets" / "pets-1") == EXPECTED


def test_an_archive_that_is_there_needs_no_network_and_an_interrupted_unpacking_starts_anew(tmp_path, offered):
    root = offered.parent
    (root / "pets.partial" / "pets-1" / "cat").mkdir(parents=True)
    (root / "pets.partial" / "pets-1" / "cat" / "cat_9.JPEG").touch()
    fetch_archive(files(root, offered, "http://127.0.0.1:9/"), inside="pets-1")
    assert pictures(root / "pets") == EXPECTED


def test_what_cannot_be_fetched_is_said_with_the_remedy(tmp_path, offered):
    root = tmp_path / "data"
    with pytest.raises(FileNotFoundError, match=r"Pets was not found in .*data \(missing: .*pets\).*pets.tar.gz \(md5"):
        fetch_archive(files(root, offered, "http://127.0.0.1:9/"))
    assert not (root / "pets").exists()


def test_a_corrupt_archive_is_named(tmp_path, offered):
    wanted = files(tmp_path / "data", offered, "http://127.0.0.1:9/")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "pets.tar.gz").write_bytes(offered.read_bytes())
    truncate(tmp_path / "data" / "pets.tar.gz")
    with pytest.raises(ValueError, match=r"pets.tar.gz is corrupt: its md5 is .*Delete it and download again"):
        fetch_archive(wanted)
    assert not (tmp_path / "data" / "pets").exists()
