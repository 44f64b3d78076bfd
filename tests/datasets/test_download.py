import hashlib
import os
from pathlib import Path

import pytest

from maxl_lightning.datasets.download import DataFiles, Download, md5_check

GOOD = hashlib.md5(b"good", usedforsecurity=False).hexdigest()


def files(root):
    """An archive `pack/all.zip` of which the file `a/one` is read, and `b` that is read as it is."""
    downloads = [
        Download("https://there.org/all.zip", GOOD, "pack/all.zip"),
        Download("https://there.org/b", GOOD, "b"),
    ]
    return DataFiles("Some data", root, {"a/one": md5_check(GOOD), "b": md5_check(GOOD)}, downloads)


@pytest.fixture
def root(tmp_path):
    for name in ("pack/all.zip", "a/one", "b"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("good")
    return tmp_path


def test_good_files_are_no_problem_and_other_errors_stay_as_they_are(root):
    assert files(root).problem() is None
    mistake = KeyError("mistake")
    with pytest.raises(KeyError) as caught, files(root).explained():
        raise mistake
    assert caught.value is mistake


@pytest.mark.parametrize("name", ["pack/all.zip", "a/one", "b"])
def test_a_broken_file_is_named_with_its_md5(root, name):
    (root / name).write_text("go")
    found = hashlib.md5(b"go", usedforsecurity=False).hexdigest()
    message = f"^{root / name} is corrupt: its md5 is {found}, expected {GOOD}; "
    with pytest.raises(ValueError, match=message) as caught, files(root).explained():
        raise RuntimeError("not found or corrupted")
    assert str(caught.value.__cause__) == "not found or corrupted"


def test_the_remedy_names_address_sum_folder_and_flag(root):
    (root / "a" / "one").unlink()
    message = str(files(root).problem())
    assert f"Some data was not found in {root} (missing: {root}/a/one). " in message
    assert f"fetch https://there.org/all.zip (md5 {GOOD}), https://there.org/b (md5 {GOOD}) elsewhere" in message
    assert f"put them into {root}/pack: they are unpacked at the next start" in message
    assert "If you have a and b already, name the folder that holds them with --data.data_dir" in message


def test_an_archive_is_not_missed_where_its_files_are(root):
    (root / "pack" / "all.zip").unlink()
    assert files(root).problem() is None


def test_messages_give_whole_paths(root, monkeypatch):
    monkeypatch.chdir(root.parent)
    (root / "b").unlink()
    assert f"(missing: {root}/b)" in str(files(Path(os.path.relpath(root))).problem())
