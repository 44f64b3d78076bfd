"""What a folder compares, kept in a file: another comparison must not mix its runs with these."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from maxl_lightning.compare.checks import data_of
from maxl_lightning.compare.plan import Comparison
from maxl_lightning.compare.settings import Method, differences, flattened
from maxl_lightning.files import replacing

__all__ = ["keep_comparison", "load_methods", "read_comparison", "read_json", "write_json"]

FILE = "comparison.json"

SHOWN_ONLY = (
    "trainer.logger",
    "trainer.enable_progress_bar",
    "trainer.enable_model_summary",
    "trainer.log_every_n_steps",
    "trainer.profiler",
    "data.num_workers",
    "data.pin_memory",
    "data.eval_batch_size",
)
"""Settings that change what a run shows, or how fast it is, but no number that is compared."""


def write_json(path: Path, content: Any) -> None:
    """Write plain values."""
    with replacing(path) as part:
        part.write_text(json.dumps(content, indent=1) + "\n")


def read_json(path: Path) -> Any:
    """Read plain values; ``None`` if there is no such file."""
    return json.loads(path.read_text()) if path.is_file() else None


def read_comparison(out: Path) -> dict[str, Any]:
    """Return what a folder compares: words, new_splits, threads and methods; empty if it holds no comparison."""
    return read_json(out / FILE) or {}


def load_methods(out: Path) -> dict[str, Method]:
    """Return the methods that a folder already compares, by name."""
    kept = read_comparison(out).get("methods", {})
    return {name: Method(name=name, **method) for name, method in kept.items()}


def keep_comparison(comparison: Comparison) -> None:
    """Write down what a folder compares, or check that it is the same as before; methods and seeds may join.

    Raises:
        ValueError: if the folder holds another comparison, naming what differs, or files of another origin.
    """
    out, kept = comparison.out, read_comparison(comparison.out)
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is not a folder: give another with --out.")
    if not kept and (foreign := [name for name in ("runs", "runs.csv", "summary.md") if (out / name).exists()]):
        raise ValueError(f"{out} holds {' and '.join(foreign)} of another origin: give another folder with --out.")
    known = load_methods(out)
    if kept and (found := _differing(comparison, kept, known)):
        raise ValueError(
            f"{out} holds another comparison. It differs in {'; '.join(found)}. Give another folder with --out, or "
            "the settings that it was begun with."
        )
    known |= {method.name: method for method in comparison.methods}
    methods = {name: {"config": m.config, "digest": m.digest, "settings": m.settings} for name, m in known.items()}
    content = {
        "words": list(comparison.words),
        "new_splits": comparison.new_splits,
        "threads": comparison.threads,
        "methods": methods,
    }
    if content != kept:
        write_json(out / FILE, content)


def _differing(comparison: Comparison, kept: dict[str, Any], known: dict[str, Method]) -> list[str]:
    """Return a phrase for each thing in which a comparison differs from the one that a folder holds."""
    found = differences(
        {name: kept[name] for name in ("new_splits", "threads")},
        {"new_splits": comparison.new_splits, "threads": comparison.threads},
    )
    for method in comparison.methods:
        if method.name in known:
            unequal = differences(deciding(known[method.name]), deciding(method))
            found |= {f"{key} of {method.name}": values for key, values in unequal.items()}
        else:  # it may join, on the same images
            found |= differences(data_of(next(iter(known.values()))), data_of(method))
    before, now = deciding_words(kept["words"]), deciding_words(comparison.words)
    if not found and before != now:  # otherwise their effect is named already
        found["the options for all runs"] = (" ".join(before), " ".join(now))
    return [f"{key} ({there!r} there, {here!r} here)" for key, (there, here) in found.items()]


def deciding(method: Method) -> dict[str, Any]:
    """Return the settings that decide a run's numbers, by dotted key."""
    flat = {key: value for part, tree in method.settings.items() for key, value in flattened(tree, part).items()}
    return {key: value for key, value in flat.items() if not key.startswith(SHOWN_ONLY)}


def deciding_words(words: Sequence[str]) -> list[str]:
    """Return the options that decide a run's numbers, in one spelling.

    >>> deciding_words(["--data.psi", "3", "--trainer.logger.offline=true", "--trainer.max_epochs=2"])
    ['--data.psi=3', '--trainer.max_epochs=2']
    """
    options: list[str] = []
    for word in words:
        if word.startswith("--") or not options or "=" in options[-1]:
            options.append(word)
        else:
            options[-1] += f"={word}"
    return sorted(option for option in options if not option.removeprefix("--").startswith(SHOWN_ONLY))
