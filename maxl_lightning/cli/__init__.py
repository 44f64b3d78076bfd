"""The command line."""

import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lightning.pytorch.cli import ArgsType

    from maxl_lightning.cli.lightning import MAXLCLI

__all__ = ["main"]

COMMANDS = ("compare", "labels")
"""Subcommands beside Lightning's; the module of each name here has ``run(words)``."""


def main(args: "ArgsType" = None, run: bool = True) -> "MAXLCLI | None":
    """Run the command line.

    Args:
        args: what to parse in place of the process's arguments.
        run: whether to run the subcommand; otherwise there is none, and the result has ``.model``,
            ``.datamodule`` and ``.trainer``, ready to use.

    Returns:
        What Lightning's subcommands leave; ``None`` for the others.
    """
    words = sys.argv[1:] if args is None else args
    if run and isinstance(words, list) and words and words[0] in COMMANDS:
        import_module(f"{__name__}.{words[0]}").run(words[1:])
        return None
    from maxl_lightning.cli.lightning import run_lightning  # takes seconds, and other commands may do without

    return run_lightning(args, run)
