"""A configuration as ``maxl fit`` would read it, without building anything."""

import json
import warnings
from collections.abc import Sequence
from typing import Any

from jsonargparse import ArgumentError
from lightning.pytorch.cli import LightningArgumentParser

from maxl_lightning.cli.lightning import MAXLCLI, run_lightning

__all__ = ["read_settings"]


class SettingsReader(MAXLCLI):
    """Parses, and goes no further."""

    def init_parser(self, **kwargs: Any) -> LightningArgumentParser:
        """Return a parser that raises its errors."""
        return super().init_parser(**{**kwargs, "exit_on_error": False})

    def instantiate_classes(self) -> None:
        """Build nothing."""

    def after_instantiate_classes(self) -> None:
        """Check nothing: ``maxl fit`` does."""

    def _set_seed(self) -> None:
        """Leave random numbers alone."""


def read_settings(config: str, words: Sequence[str]) -> dict[str, Any]:
    """Return model, data and Trainer of a configuration with all defaults filled in, as nested plain values.

    Args:
        config: path of the file.
        words: options that come after it.

    Raises:
        ValueError: if the file or an option is wrong, with the parser's reason, or the file names a checkpoint.
    """
    with warnings.catch_warnings():
        # Lightning takes this process's own arguments for some that were meant for it
        warnings.filterwarnings("ignore", message=".*LightningCLI's args parameter.*")
        try:
            reader = run_lightning(["--config", config, *words], run=False, cli=SettingsReader)
        except ArgumentError as error:
            raise ValueError(f"{config}: {error}") from None
    if (checkpoint := reader.config.get("ckpt_path")) is not None:  # as what a resumed run leaves does
        raise ValueError(f"{config} sets ckpt_path to {checkpoint}, from which every run would go on: remove it.")
    settings = {part: reader.config[part] for part in ("model", "data", "trainer")}
    plain: dict[str, Any] = json.loads(json.dumps(settings, default=_plain))
    return plain


def _plain(value: Any) -> Any:
    return value.as_dict() if hasattr(value, "as_dict") else str(value)
