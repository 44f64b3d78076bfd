"""``maxl`` and ``python -m maxl_lightning``."""

import sys


def main() -> None:
    """Run the command line with the process's arguments; a run that SIGTERM ends says so by its exit status, 143."""
    from maxl_lightning import cli

    try:
        cli.main()
    except SystemExit as error:
        exceptions = sys.modules.get("lightning.pytorch.utilities.exceptions")  # not imported for this: takes seconds
        if exceptions is not None and isinstance(error, exceptions.SIGTERMException):
            sys.exit(143)
        raise


if __name__ == "__main__":
    main()
