"""Auxiliary labels as data: where the labels of the given-label methods come from."""

from maxl_lightning.labels.source import (
    AuxiliaryDataset,
    AuxiliaryLabels,
    UniformLabels,
    check_auxiliary_labels,
)

__all__ = ["AuxiliaryDataset", "AuxiliaryLabels", "UniformLabels", "check_auxiliary_labels"]
