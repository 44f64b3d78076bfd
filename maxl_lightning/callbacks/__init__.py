"""Callbacks for any Trainer."""

from maxl_lightning.callbacks.last_checkpoint import LastCheckpoint
from maxl_lightning.callbacks.log_config import LogConfig
from maxl_lightning.callbacks.test_every_epoch import TestEveryEpoch

__all__ = ["LastCheckpoint", "LogConfig", "TestEveryEpoch"]
