"""What the resolved configuration of a method says that a comparison must know."""

from dataclasses import dataclass
from typing import Any

__all__ = ["Method", "Settings"]

Settings = dict[str, Any]
"""A configuration with all defaults filled in, as nested plain values."""


@dataclass(frozen=True)
class Method:
    """One configuration of a comparison.

    Args:
        name: what tables and figures call it.
        config: path of the configuration file.
        digest: of the file's content.
        settings: the configuration with the words for all runs applied and all defaults filled in.
    """

    name: str
    config: str
    digest: str
    settings: Settings

    @property
    def trainer(self) -> Settings:
        """The Trainer's arguments."""
        trainer: Settings = self.settings["trainer"]
        return trainer

    @property
    def alternating(self) -> bool:
        """Whether one Trainer epoch is one pass, of θ1 or of θ2, so that a pair of them is an epoch of θ1."""
        return bool(arguments(self.settings["model"]).get("update") == "alternating")

    @property
    def network_epochs(self) -> float | None:
        """Epochs of θ1 that the Trainer is given; ``None`` if it is not limited by them."""
        epochs: float | None = self.trainer.get("max_epochs")
        return epochs / 2 if epochs is not None and self.alternating else epochs

    @property
    def tested_every(self) -> int:
        """A test follows every so many Trainer epochs."""
        return self.trainer.get("check_val_every_n_epoch") or 1

    @property
    def callbacks(self) -> list[Settings]:
        """The callbacks, as class path and arguments."""
        return listed(self.trainer.get("callbacks"))

    @property
    def loggers(self) -> list[Settings]:
        """The loggers, as class path and arguments."""
        return listed(self.trainer.get("logger"))


def listed(value: Any) -> list[Settings]:
    """Return the classes among what may be a list, one class or a switch."""
    values = value if isinstance(value, list) else [value]
    return [item for item in values if isinstance(item, dict)]


def arguments(part: Settings) -> Settings:
    """Return the arguments of a class."""
    return part.get("init_args") or {}


def class_name(part: Settings) -> str:
    """Return the name of a class without its module."""
    return str(part.get("class_path")).rpartition(".")[2]


def flattened(value: Any, prefix: str) -> dict[str, Any]:
    """Return nested values by dotted key, the arguments of classes under their own names.

    >>> flattened({"class_path": "SGD", "init_args": {"lr": 0.1}}, "optimizer")
    {'optimizer': 'SGD', 'optimizer.lr': 0.1}
    """
    if not isinstance(value, dict):
        return {prefix: value}
    flat: dict[str, Any] = {}
    for key, item in value.items():
        if key == "class_path":
            flat[prefix] = item
        else:
            flat.update(flattened(item, prefix if key in ("init_args", "dict_kwargs") else f"{prefix}.{key}"))
    return flat


def differences(a: dict[str, Any], b: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the keys whose values differ, with both; what is missing counts as ``None``."""
    keys = [*a, *(key for key in b if key not in a)]
    return {key: (a.get(key), b.get(key)) for key in keys if a.get(key) != b.get(key)}
