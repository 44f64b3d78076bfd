"""Callbacks for any Trainer."""

from maxl_lightning.callbacks.confusion_matrix import ConfusionMatrix
from maxl_lightning.callbacks.feature_map import FeatureMap
from maxl_lightning.callbacks.gradient_cosine import GradientCosine
from maxl_lightning.callbacks.label_agreement import LabelAgreement
from maxl_lightning.callbacks.label_gallery import LabelGallery
from maxl_lightning.callbacks.label_usage import LabelUsage
from maxl_lightning.callbacks.last_checkpoint import LastCheckpoint
from maxl_lightning.callbacks.log_config import LogConfig
from maxl_lightning.callbacks.test_every_epoch import TestEveryEpoch

__all__ = [
    "ConfusionMatrix",
    "FeatureMap",
    "GradientCosine",
    "LabelAgreement",
    "LabelGallery",
    "LabelUsage",
    "LastCheckpoint",
    "LogConfig",
    "TestEveryEpoch",
]
