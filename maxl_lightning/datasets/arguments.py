"""Defaults that come from the environment, and the ranges of arguments."""

import os
from pathlib import Path

__all__ = ["check_at_least", "check_seed", "data_folder", "default_data_dir", "default_seed"]


def default_data_dir() -> Path:
    """Return the folder named by the environment variable MAXL_DATA_DIR, else "data"."""
    return Path(os.environ.get("MAXL_DATA_DIR") or "data").expanduser()


def data_folder(data_dir: str | None) -> Path:
    """Return the folder of the data; None stands for :func:`default_data_dir`."""
    return default_data_dir() if data_dir is None else Path(data_dir).expanduser()


def default_seed() -> int:
    """Return the seed that Lightning's ``seed_everything`` was last called with, else 0.

    ``seed_everything`` leaves it in the environment, where the processes of a distributed run find it too.
    """
    return int(os.environ.get("PL_GLOBAL_SEED") or 0)


def check_at_least(minimum: int, **arguments: int | None) -> None:
    """Raise ``ValueError`` naming the first argument that is neither None nor a whole number of at least this.

    >>> check_at_least(1, batch_size=0)
    Traceback (most recent call last):
    ValueError: batch_size is 0: use a whole number of at least 1.
    """
    for name, value in arguments.items():
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
            raise ValueError(f"{name} is {value!r}: use a whole number of at least {minimum}.")


def check_seed(**arguments: int | None) -> None:
    """Raise ``ValueError`` naming the first seed that scikit-learn and Lightning would refuse, or that is negative.

    >>> check_seed(seed=-1)
    Traceback (most recent call last):
    ValueError: seed is -1: use a whole number from 0 to 4294967295.
    """
    for name, value in arguments.items():
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**32:
            raise ValueError(f"{name} is {value!r}: use a whole number from 0 to {2**32 - 1}.")
