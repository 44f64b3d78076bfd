"""Tables of learned labels, one row an image, as Parquet or CSV files."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from maxl_lightning.datasets.view import DatasetView
from maxl_lightning.files import replacing

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["check_suffix", "files_of", "hierarchy", "label_table", "read_table", "soft_columns", "write_table"]

SUFFIXES = (".parquet", ".csv")
WHOLE = ("index", "primary", "label")


def check_suffix(path: Path) -> None:
    """Raise ``ValueError`` unless the file's suffix names a kind of table."""
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path} is neither a .parquet nor a .csv file: give it one of these suffixes.")


def soft_columns(psi: Sequence[int]) -> list[str]:
    """Return the names of the columns of soft labels: primary class, and the number in its block.

    >>> soft_columns([2, 1])
    ['soft_0_0', 'soft_0_1', 'soft_1_0']
    """
    return [f"soft_{c}_{number}" for c, size in enumerate(psi) for number in range(size)]


def label_table(
    indices: Tensor,
    primary: Tensor,
    soft: Tensor,
    class_names: Sequence[str],
    psi: Sequence[int],
    files: Sequence[str] | None = None,
) -> "DataFrame":
    """Return the table of soft labels, ordered by image.

    Args:
        indices: the images' numbers in their source, int64 ``(N,)``.
        primary: primary classes, int64 ``(N,)``.
        soft: soft labels ``(N, Σψ)``.
        class_names: names of the C primary classes.
        psi: the hierarchy ψ.
        files: the images' files, if they lie in files.

    Returns:
        Columns ``index``, ``file`` if there are files, ``primary``, ``class_name``, ``label`` (the most probable
        auxiliary class, as a number of the Σψ), ``confidence`` (its probability), then the Σψ of the soft label.
    """
    from pandas import DataFrame

    confidence, label = soft.max(dim=1)
    head = {
        "index": indices.numpy(),
        **({} if files is None else {"file": files}),
        "primary": primary.numpy(),
        "class_name": [class_names[c] for c in primary.tolist()],
        "label": label.numpy(),
        "confidence": confidence.numpy(),
    }
    table = DataFrame(head).join(DataFrame(soft.numpy(), columns=soft_columns(psi)))
    return table.sort_values("index", ignore_index=True)


def files_of(images: DatasetView) -> list[str] | None:
    """Return the files of a view's images, if its source tells them by an attribute ``files``."""
    files = getattr(images.source, "files", None)
    return None if files is None else [files[index] for index in images.indices.tolist()]


def write_table(path: Path, table: "DataFrame") -> None:
    """Write a table, as a whole or not at all.

    Args:
        path: the file, of a suffix that :func:`check_suffix` allows.
        table: what is written.
    """
    with replacing(path) as part:
        if path.suffix == ".parquet":
            table.to_parquet(part, index=False)
        else:
            table.to_csv(part, index=False)


def read_table(path: Path) -> "DataFrame":
    """Read a table that :func:`write_table` wrote.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it cannot be read, a column is missing or is of the wrong type, or an image occurs twice.
    """
    import pandas

    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}: write one with `maxl labels --ckpt_path … --out {path}`.")
    try:
        table = pandas.read_parquet(path) if path.suffix == ".parquet" else pandas.read_csv(path)
    except Exception as error:  # a broken file makes pandas and pyarrow raise almost anything
        raise ValueError(f"{path} cannot be read as a table of labels: {error}") from error
    _check_columns(path, table)
    for name in ("index", "file"):
        if name in table and (again := table[name].duplicated()).any():
            raise ValueError(f"{path} has two rows for image {table[name][again].iloc[0]}: leave one.")
    return table


def hierarchy(table: "DataFrame") -> list[int]:
    """Return the ψ that the columns of a table are named by.

    >>> from pandas import DataFrame
    >>> hierarchy(DataFrame(columns=["index", *soft_columns([2, 1])]))
    [2, 1]
    """
    owners = [int(match[1]) for name in table.columns if (match := re.fullmatch(r"soft_(\d+)_\d+", str(name)))]
    return [owners.count(c) for c in range(max(owners, default=-1) + 1)]


def _check_columns(path: Path, table: "DataFrame") -> None:
    from pandas.api.types import is_float_dtype, is_integer_dtype

    soft = soft_columns(hierarchy(table))
    if missing := [name for name in (*WHOLE, *(soft or ["soft_0_0"])) if name not in table]:
        raise ValueError(f"{path} has no column {missing[0]!r}: it is no table that `maxl labels` wrote.")
    wrong = [name for name in WHOLE if not is_integer_dtype(table[name])]
    wrong += [name for name in soft if not is_float_dtype(table[name])]
    if wrong:
        kind = "whole numbers" if wrong[0] in WHOLE else "probabilities"
        raise ValueError(f"{path} holds something else than {kind} in the column {wrong[0]!r}.")
