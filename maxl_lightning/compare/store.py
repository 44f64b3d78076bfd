"""Files of a comparison, which are there as a whole or not at all, and whose comparison a folder holds."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from maxl_lightning.compare.plan import Comparison
from maxl_lightning.compare.settings import Method, differences, flattened

__all__ = ["keep_comparison", "load_methods", "read_json", "replacing", "write_json"]

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


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path to write to, which takes the place of a file once it is written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write plain values."""
    with replacing(path) as part:
        part.write_text(json.dumps(content, indent=1, default=str) + "\n")


def read_json(path: Path) -> Any:
    """Read plain values; ``None`` if there is no such file."""
    return json.loads(path.read_text()) if path.is_file() else None


def load_methods(out: Path) -> dict[str, Method]:
    """Return the methods that a folder already compares, by name."""
    kept = read_json(out / "comparison.json") or {"methods": {}}
    return {name: Method(name=name, **method) for name, method in kept["methods"].items()}


def keep_comparison(comparison: Comparison) -> None:
    """Write down what a folder compares, or check that it is the same as before; more methods may join.

    Raises:
        ValueError: if the folder holds another comparison, naming what differs, or files of another origin.
    """
    path = comparison.out / "comparison.json"
    kept = read_json(path)
    if kept is None and comparison.out.is_dir() and any(comparison.out.iterdir()):
        raise ValueError(f"{comparison.out} holds other files, and no comparison: give another folder with --out.")
    known = load_methods(comparison.out)
    if kept is not None and (differing := _differing(comparison, kept, known)):
        raise ValueError(
            f"{comparison.out} holds another comparison, which differs in {'; '.join(differing)}: give another folder "
            "with --out, or the settings that it was begun with."
        )
    methods = known | {method.name: method for method in comparison.methods}
    content = {
        "words": list(comparison.words),
        "new_splits": comparison.new_splits,
        "threads": comparison.threads,
        "methods": {
            name: {"config": m.config, "digest": m.digest, "settings": m.settings} for name, m in methods.items()
        },
    }
    if content != kept:
        write_json(path, content)


def _differing(comparison: Comparison, kept: dict[str, Any], known: dict[str, Method]) -> list[str]:
    found = [
        f"{name} ({kept[name]!r} there, {value!r} here)"
        for name, value in (("new_splits", comparison.new_splits), ("threads", comparison.threads))
        if kept[name] != value
    ]
    for method in comparison.methods:
        if method.name in known:
            before, now = deciding(known[method.name]), deciding(method)
            found += [
                f"{method.name}: {key} ({a!r} there, {b!r} here)" for key, (a, b) in differences(before, now).items()
            ]
    return found


def deciding(method: Method) -> dict[str, Any]:
    """Return the settings that decide a run's numbers, by dotted key and as they are read back from a file."""
    plain = json.loads(json.dumps({part: method.settings.get(part) for part in ("model", "data", "trainer")}, default=str))
    flat = {key: value for part, content in plain.items() for key, value in flattened(content, part).items()}
    return {key: value for key, value in flat.items() if not key.startswith(SHOWN_ONLY)}
