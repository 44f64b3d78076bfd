import pytest
from tiny_folders import WNIDS, WORDS

from maxl_lightning.datasets.wordnet import NAME_FILES, read_wnids, wordnet_names


def test_ids_are_given_or_read_from_a_file(tmp_path):
    path = tmp_path / "classes.txt"
    path.write_text(f"# three classes\n{WNIDS[0]}\tgoldfish\n\n{WNIDS[2]}\r\n{WNIDS[1]}")
    expected = (WNIDS[0], WNIDS[2], WNIDS[1])
    assert read_wnids(str(path)) == read_wnids(path) == read_wnids(list(expected)) == expected


@pytest.mark.parametrize(
    ("wnids", "message"),
    [
        (["n01443537", "goldfish"], "the list of WordNet ids has 'goldfish', which is no WordNet id"),
        (["n01443537", "n02012849", "n01443537"], "has n01443537 more than once"),
        ([], "the list of WordNet ids is empty"),
    ],
)
def test_lists_that_are_none_are_refused(tmp_path, wnids, message):
    path = tmp_path / "classes.txt"
    path.write_text("\n".join(wnids))
    with pytest.raises(ValueError, match=message):
        read_wnids(wnids)
    with pytest.raises(ValueError, match=message.replace("the list of WordNet ids", str(path))):
        read_wnids(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"{tmp_path}/classes.txt, the list of WordNet ids, is no file"):
        read_wnids(tmp_path / "classes.txt")


@pytest.mark.parametrize("file", NAME_FILES)
def test_names_are_the_first_synonyms_and_told_apart(tmp_path, file):
    separator = "\t" if file == "words.txt" else " "
    (tmp_path / file).write_text("".join(f"{wnid}{separator}{words}\n" for wnid, words in WORDS.items()))
    names = wordnet_names(tmp_path, [*WNIDS, "n99999999"])
    assert names == ("goldfish", "crane (n02012849)", "crane (n03126707)", "n99999999")


def test_without_such_a_file_the_ids_are_names(tmp_path):
    assert wordnet_names(tmp_path, WNIDS) == WNIDS
