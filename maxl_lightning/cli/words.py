"""The words of a command line that are for its runs."""

import re
from collections.abc import Sequence

__all__ = ["split_words"]

HANDED_ON = re.compile(r"--(trainer|data|model)\b")


def split_words(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Part the command's own words from those that are handed to every run.

    >>> split_words(["a.yaml", "--data.psi", "3", "--seeds", "2", "--", "--model.optimizer.lr=1"])
    (['a.yaml', '--seeds', '2'], ['--data.psi', '3', '--model.optimizer.lr=1'])
    """
    end = words.index("--") if "--" in words else len(words)
    own: list[str] = []
    handed_on: list[str] = []
    for i, word in enumerate(words[:end]):
        is_value = i > 0 and HANDED_ON.match(words[i - 1]) and "=" not in words[i - 1] and not word.startswith("--")
        (handed_on if is_value or HANDED_ON.match(word) else own).append(word)
    return own, [*handed_on, *words[end + 1 :]]
