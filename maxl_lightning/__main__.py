"""``maxl`` and ``python -m maxl_lightning``."""


def main() -> None:
    """Run the command line with the process's arguments."""
    from maxl_lightning import cli

    cli.main()


if __name__ == "__main__":
    main()
