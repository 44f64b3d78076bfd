"""Moved to :mod:`maxl_lightning.datasets.arguments`."""

from maxl_lightning.datasets.arguments import check_at_least, check_seed, data_folder, default_seed

__all__ = ["check_at_least", "check_seed", "data_folder", "default_seed"]
