"""Callbacks for any Trainer."""

from maxl_lightning.callbacks.log_config import LogConfig

__all__ = ["LogConfig"]
