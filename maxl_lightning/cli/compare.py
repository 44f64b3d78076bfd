"""``maxl compare``: methods × seeds, with tables and figures."""

import argparse
import hashlib
import os
import re
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from maxl_lightning.compare import Comparison, Method, check_methods, compare
from maxl_lightning.compare.store import load_methods, read_json

__all__ = ["run"]

DESCRIPTION = """\
Train every configuration with every seed, and compare the test accuracies.

Each run is a process of its own, `maxl fit …`, whose command is printed. A finished run is never repeated and an
interrupted one goes on from its last epoch: give the same command again. Methods are named after their files; write
NAME=CONFIG for another name.

The folder DIR gets runs.csv, curves.csv, summary.csv and summary.md, with the mean, standard deviation and 95 %
interval over seeds and differences paired by seed, and accuracy.png and bars.png. The test accuracy is the mean of
the last five epochs, so that nothing is chosen on test data.

Options of `maxl fit` that begin with --trainer., --data. or --model., each with its value, hold for all runs, and so
does all that follows a lone --:

  maxl compare configs/digits/*.yaml --seeds 5 --jobs 2 --out runs/digits --trainer.max_epochs 30
"""

HANDED_ON = re.compile(r"--(trainer|data|model)\b[^=]*")
OURS = ("--seed_everything", "--config", "-c", "--ckpt_path", "--test_after_fit", "--print_config")


def run(words: list[str]) -> None:
    """Run the command, and end the process with its status.

    Args:
        words: of the command line, after ``compare``.
    """
    own, handed_on = split_words(words)
    parser = make_parser()
    options = parser.parse_args(own)
    try:
        comparison = plan(options, handed_on)
        status = compare(comparison, options.jobs, options.reference, Console())
    except ValueError as error:
        parser.exit(2, f"maxl compare: {error}\n")
    sys.exit(status)


def make_parser() -> argparse.ArgumentParser:
    """Return the command's parser."""
    parser = argparse.ArgumentParser(
        "maxl compare", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("configs", nargs="+", metavar="CONFIG", help="configuration of a method, or NAME=CONFIG")
    parser.add_argument("--seeds", type=positive, required=True, metavar="N", help="how many seeds")
    parser.add_argument("--first_seed", type=natural, default=0, metavar="S", help="the first seed (default: 0)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the comparison")
    parser.add_argument("--jobs", type=positive, default=1, metavar="J", help="processes at a time (default: 1)")
    parser.add_argument(
        "--threads",
        type=positive,
        metavar="T",
        help="threads of each process, which decide its rounding (default: CPU cores divided by jobs)",
    )
    parser.add_argument(
        "--new_splits", action="store_true", help="draw other splits of the data with each seed (--data.split_seed)"
    )
    parser.add_argument(
        "--reference",
        action="append",
        metavar="METHOD",
        help="compare all methods with this one; may be repeated (default: single and uniform)",
    )
    return parser


def positive(text: str) -> int:
    """Return a whole number of at least 1."""
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return int(text)


def natural(text: str) -> int:
    """Return a whole number of at least 0."""
    if int(text) < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative")
    return int(text)


def split_words(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Part the command's own words from those that are handed to every run.

    >>> split_words(["a.yaml", "--data.psi", "3", "--seeds", "2", "--", "--model.optimizer.lr=1"])
    (['a.yaml', '--seeds', '2'], ['--data.psi', '3', '--model.optimizer.lr=1'])
    """
    end = words.index("--") if "--" in words else len(words)
    own: list[str] = []
    handed_on: list[str] = []
    rest = iter(words[:end])
    for word in rest:
        if HANDED_ON.fullmatch(word):
            handed_on += [word, *([value] if (value := next(rest, None)) is not None else [])]
        else:
            (handed_on if HANDED_ON.match(word) else own).append(word)
    return own, [*handed_on, *words[end + 1 :]]


def plan(options: argparse.Namespace, words: list[str]) -> Comparison:
    """Return the comparison that is asked for, once it is known to be one.

    Raises:
        ValueError: if a configuration cannot be read, or they cannot be compared.
    """
    for word in words:
        if word.partition("=")[0] in OURS:
            raise ValueError(f"{word} is for the comparison to set: remove it.")
        if options.new_splits and word.partition("=")[0].endswith(".split_seed"):
            raise ValueError(f"{word} contradicts --new_splits, which sets it to the seed: remove one of them.")
    kept = read_json(options.out / "comparison.json") or {}
    threads = options.threads or kept.get("threads") or max(1, cores() // options.jobs)
    methods = tuple(read_methods(options.configs, words, options.out))
    known = {**load_methods(options.out), **{method.name: method for method in methods}}
    check_methods(list(known.values()))
    for name in options.reference or ():
        if name not in known:
            raise ValueError(f"--reference {name} is no method here; there are {', '.join(known)}.")
    seeds = tuple(range(options.first_seed, options.first_seed + options.seeds))
    return Comparison(options.out, methods, seeds, tuple(words), options.new_splits, threads)


def cores() -> int:
    """Return how many CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def read_methods(configs: Sequence[str], words: list[str], out: Path) -> list[Method]:
    """Return the methods; those that the folder knows with the same file and words are not parsed again.

    Raises:
        ValueError: if a file cannot be read, or two methods have the same name.
    """
    kept = load_methods(out)
    same_words = (read_json(out / "comparison.json") or {}).get("words") == words
    methods: dict[str, Method] = {}
    for text in configs:
        name, _, path = text.rpartition("=")
        name = name or Path(path).stem
        if name in methods:
            raise ValueError(f"{methods[name].config} and {path} are both named {name}: write NAME={path}.")
        if not Path(path).is_file():
            raise ValueError(f"{path} is no file.")
        digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
        if same_words and name in kept and (kept[name].config, kept[name].digest) == (path, digest):
            methods[name] = kept[name]
        else:
            methods[name] = parse(name, path, digest, words)
    return list(methods.values())


def parse(name: str, path: str, digest: str, words: Sequence[str]) -> Method:
    """Return a method from its configuration."""
    with warnings.catch_warnings():
        from maxl_lightning.cli.settings import read_settings  # imports Lightning, which takes seconds

        return Method(name, path, digest, read_settings(path, words))
