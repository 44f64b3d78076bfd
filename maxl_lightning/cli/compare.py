"""``maxl compare``: methods × seeds, with tables and figures."""

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from maxl_lightning.cli.words import split_words
from maxl_lightning.compare import Comparison, Method, check_methods, compare, unequal_budgets
from maxl_lightning.compare.attempt import digest
from maxl_lightning.compare.store import load_methods, read_comparison

__all__ = ["run"]

DESCRIPTION = """\
Train every configuration with every seed, and compare the test accuracies.

Each run is a process of its own, `maxl fit ...`, whose command is printed. A finished run is never repeated, and an
interrupted one goes on after its last finished epoch: give the same command again. Methods are named after their
files; write NAME=CONFIG for another name. Further methods and seeds may join later.

DIR gets runs.csv, curves.csv, summary.csv and summary.md: mean, standard deviation and 95 % interval over seeds, and
differences paired by seed; accuracy.png and bars.png; and the log, checkpoints and metrics of every run. The test
accuracy is the mean of the last five epochs, as in the paper: nothing is chosen on test data.

Options of `maxl fit` that begin with --trainer, --data or --model hold for all runs, each with its value, and so does
all that follows a lone `--`:

  maxl compare configs/digits/*.yaml --seeds 5 --jobs 2 --out runs/digits --trainer.max_epochs 30
"""

OURS = ("--seed_everything", "--config", "-c", "--ckpt_path", "--test_after_fit", "--print_config")


def run(words: list[str]) -> None:
    """Run the command, and end the process with its status.

    Args:
        words: of the command line, after ``compare``.
    """
    own, handed_on = split_words(words)
    parser = make_parser()
    options = parser.parse_intermixed_args(own)
    console = Console()
    try:
        comparison = plan(options, handed_on, console)
        status = compare(comparison, options.jobs, options.reference, console)
    except (OSError, ValueError) as error:
        parser.exit(2, f"maxl compare: error: {error}\n")
    sys.exit(status)


def make_parser() -> argparse.ArgumentParser:
    """Return the command's parser."""
    parser = argparse.ArgumentParser(
        "maxl compare",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("configs", nargs="+", metavar="CONFIG", help="configuration of a method, or NAME=CONFIG")
    parser.add_argument("--seeds", type=at_least(1), required=True, metavar="N", help="how many seeds")
    parser.add_argument("--first_seed", type=at_least(0), default=0, metavar="S", help="the first seed (default: 0)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the comparison")
    parser.add_argument("--jobs", type=at_least(1), default=1, metavar="J", help="processes at a time (default: 1)")
    parser.add_argument(
        "--threads",
        type=at_least(1),
        metavar="T",
        help="threads of each process, on which its rounding depends (default: CPU cores divided by J)",
    )
    parser.add_argument(
        "--new_splits", action="store_true", help="let the seed decide the splits of the data, too (--data.split_seed)"
    )
    parser.add_argument(
        "--reference",
        action="append",
        metavar="METHOD",
        help="compare all methods with this one; may be repeated (default: single and uniform)",
    )
    return parser


def at_least(minimum: int) -> Callable[[str], int]:
    """Return a parser of whole numbers from a minimum on."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"\d+", text) or int(text) < minimum:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least {minimum}")
        return int(text)

    return parse


def plan(options: argparse.Namespace, words: list[str], console: Console) -> Comparison:
    """Return the comparison that is asked for, once it is known to be one.

    Raises:
        ValueError: if a configuration cannot be read, or they cannot be compared.
    """
    check_words(words, options.new_splits)
    kept = read_comparison(options.out)
    threads = options.threads or kept.get("threads") or max(1, cores() // options.jobs)
    methods = read_methods(options.configs, words, options.out)
    check_methods(methods, options.new_splits)
    known = {**load_methods(options.out), **{method.name: method for method in methods}}
    for name in options.reference or ():
        if name not in known:
            raise ValueError(f"--reference {name} is none of the methods: {', '.join(known)}.")
    for warning in unequal_budgets(list(known.values())):
        console.print(f"warning: {warning}", style="yellow", markup=False, highlight=False)
    seeds = tuple(range(options.first_seed, options.first_seed + options.seeds))
    return Comparison(options.out, tuple(methods), seeds, tuple(words), options.new_splits, threads)


def check_words(words: Sequence[str], new_splits: bool) -> None:
    """Refuse options for all runs that the comparison sets itself.

    Raises:
        ValueError: naming the option.
    """
    for name in (word.partition("=")[0] for word in words):
        if name in OURS:
            raise ValueError(f"{name} is for the comparison to set: remove it.")
        if new_splits and name.endswith(".split_seed"):
            raise ValueError(f"{name} contradicts --new_splits, which sets it to the seed: remove one of them.")


def cores() -> int:
    """Return how many CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def read_methods(configs: Sequence[str], words: Sequence[str], out: Path) -> list[Method]:
    """Return the methods; those that the folder knows with the same file and words are not parsed again.

    Raises:
        ValueError: if a file cannot be read, or two methods have the same name.
    """
    kept = load_methods(out) if read_comparison(out).get("words") == list(words) else {}
    methods: dict[str, Method] = {}
    for text in configs:
        name, config = named(text)
        if name in methods:
            raise ValueError(f"{methods[name].config} and {config} are both named {name}: write NAME={config}.")
        known = kept.get(name)
        if known is not None and (known.config, known.digest) == (config, digest(config)):
            methods[name] = known
            continue
        from maxl_lightning.cli.settings import read_settings  # imports Lightning, which takes seconds

        methods[name] = Method(name, config, digest(config), read_settings(config, words))
    return list(methods.values())


def named(text: str) -> tuple[str, str]:
    """Return a method's name and configuration file.

    Raises:
        ValueError: if there is no such file, or the name is none for a folder.
    """
    name, _, config = text.partition("=") if "=" in text and not Path(text).is_file() else ("", "", text)
    if not Path(config).is_file():
        raise ValueError(f"{config} is no file.")
    name = name or Path(config).stem
    if not re.fullmatch(r"[\w.+-]+", name):
        raise ValueError(f"{name!r} cannot name a method: use letters, digits and . _ + - in NAME={config}.")
    return name, config
