"""``maxl`` and ``python -m maxl_lightning``."""

import sys


def main() -> None:
    """Run the command line with the process's arguments; a run that SIGTERM ends says so by its exit status, 143."""
    from lightning.pytorch.utilities.exceptions import SIGTERMException

    from maxl_lightning import cli

    try:
        cli.main()
    except SIGTERMException:
        sys.exit(143)


if __name__ == "__main__":
    main()
