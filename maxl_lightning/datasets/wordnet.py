"""WordNet ids, by which ImageNet and its relatives name the folders of their classes."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from maxl_lightning.datasets.naming import listed

__all__ = ["is_wnid", "read_wnids", "wordnet_names"]

NAME_FILES = ("words.txt", "LOC_synset_mapping.txt", "synset_words.txt")
"""Files that name the ids: WordNet's own and Tiny ImageNet's, Kaggle's, Caffe's."""


def is_wnid(word: str) -> bool:
    """Tell whether a word is a WordNet id: n and eight digits.

    >>> is_wnid("n01443537"), is_wnid("goldfish")
    (True, False)
    """
    return re.fullmatch(r"n\d{8}", word) is not None


def read_wnids(source: Sequence[str] | str | Path) -> tuple[str, ...]:
    """Return a list of WordNet ids, given as such or as a text file.

    Args:
        source: the ids; or the path of a file with an id at the beginning of each line, of which the rest is not
            read, nor are empty lines and those that begin with #.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: naming what is no WordNet id, or an id that comes twice; or if there is none.
    """
    name = "the list of WordNet ids" if not isinstance(source, str | Path) else str(source)
    wnids = _first_words(Path(source)) if isinstance(source, str | Path) else list(source)
    wrong = [wnid for wnid in wnids if not is_wnid(wnid)]
    twice = [wnid for wnid, times in Counter(wnids).items() if times > 1]
    if wrong or not wnids:
        found = f"has {wrong[0]!r}, which is no WordNet id" if wrong else "is empty"
        raise ValueError(f"{name} {found}: give ids such as n01443537, in a file one on each line.")
    if twice:
        raise ValueError(f"{name} has {listed(twice)} more than once: give each class once.")
    return tuple(wnids)


def wordnet_names(folder: str | Path, wnids: Sequence[str]) -> tuple[str, ...]:
    """Return a readable name for each id, if the folder has a file that names them, else the id.

    It is the first of an id's synonyms. Where two ids share it, as ImageNet's two cranes do, the id is added.

    Args:
        folder: may hold one of ``words.txt``, ``LOC_synset_mapping.txt`` and ``synset_words.txt``, with an id and
            its synonyms on each line.
        wnids: the ids.
    """
    words: dict[str, str] = {}
    for file in NAME_FILES:
        if Path(folder, file).is_file():
            words = _synonyms(Path(folder, file))
            break
    names = [words.get(wnid, wnid) for wnid in wnids]
    times = Counter(names)
    return tuple(f"{name} ({wnid})" if times[name] > 1 else name for wnid, name in zip(wnids, names, strict=True))


def _first_words(path: Path) -> list[str]:
    if not path.expanduser().is_file():
        raise FileNotFoundError(f"{path.absolute()}, the list of WordNet ids, is no file: write one id on each line.")
    lines = path.expanduser().read_text(encoding="utf-8").splitlines()
    return [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]


def _synonyms(path: Path) -> dict[str, str]:
    lines = [line.split(maxsplit=1) for line in path.read_text(encoding="utf-8").splitlines()]
    return {parts[0]: parts[1].split(",")[0].strip() for parts in lines if len(parts) == 2}
