"""LightningModules: one for each way to get auxiliary labels, on one manual training loop."""

from maxl_lightning.modules.base import ClassificationModule
from maxl_lightning.modules.maxl import MAXLModule
from maxl_lightning.modules.multi_task import MultiTaskModule
from maxl_lightning.modules.single_task import SingleTaskModule

__all__ = ["ClassificationModule", "MAXLModule", "MultiTaskModule", "SingleTaskModule"]
