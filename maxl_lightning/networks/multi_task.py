"""The multi-task network f of the paper, and the classifier that is left of it after training."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from maxl_lightning.functional import auxiliary_classes
from maxl_lightning.networks.base import TrunkWithHeads
from maxl_lightning.networks.trunk import Initialization

__all__ = ["Classifier", "MultiTaskNetwork"]


class Classifier(TrunkWithHeads):
    """A trunk with the primary head alone: the single-task baseline, and what gets exported.

    Images ``(N, channels, H, W)`` → primary logits ``(N, C)``.

    Args:
        num_classes: number of primary classes C.
        trunk: module from images to features ``(N, d)``: one of this package, or any other.
        hidden_features: hidden width of the head; None means d, as in the paper.
        feature_width: number of features d; None means the trunk's ``out_features`` or ``num_features``.
        input_shape: shape ``(channels, height, width)`` of an image, to measure d if the trunk does not tell.
        initialization: Xavier weights and zero biases for the head, and for the trunk if it is a fresh one
            of this package. Other trunks keep their weights. None leaves PyTorch's initialisation everywhere.

    Raises:
        ValueError: if C is not positive, d cannot be known, or the trunk does not give ``(N, d)``.
    """

    def __init__(
        self,
        num_classes: int,
        trunk: nn.Module,
        hidden_features: int | None = None,
        feature_width: int | None = None,
        input_shape: tuple[int, int, int] | None = None,
        initialization: Initialization | None = "xavier_uniform",
    ) -> None:
        auxiliary_classes(1, num_classes)  # refuses what is not a positive whole number
        super().__init__(trunk, hidden_features, feature_width, input_shape, initialization)
        self.num_classes = num_classes
        self.primary_head: nn.Module = self._make_head(num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return primary logits ``(N, C)`` of images ``(N, channels, H, W)``."""
        logits: Tensor = self.primary_head(self.features(x))
        return logits


class MultiTaskNetwork(TrunkWithHeads):
    """The multi-task network: a shared trunk, a primary and an auxiliary head (paper, section 3.1).

    Images ``(N, channels, H, W)`` → primary logits ``(N, C)`` and auxiliary logits ``(N, Σψ)``. The auxiliary
    head predicts over all Σψ classes: only the generated labels are masked.

    Args:
        num_classes: number of primary classes C.
        psi: hierarchy ψ, the number of auxiliary classes of each primary class, or one number for all.
        trunk: module from images to features ``(N, d)``: one of this package, or any other.
        hidden_features: hidden width of the heads; None means d, as in the paper.
        feature_width: number of features d; None means the trunk's ``out_features`` or ``num_features``.
        input_shape: shape ``(channels, height, width)`` of an image, to measure d if the trunk does not tell.
        initialization: Xavier weights and zero biases for the heads, and for the trunk if it is a fresh one
            of this package. Other trunks keep their weights. None leaves PyTorch's initialisation everywhere.

    Raises:
        ValueError: if ψ does not fit C, d cannot be known, or the trunk does not give ``(N, d)``.
    """

    def __init__(
        self,
        num_classes: int,
        psi: int | Sequence[int],
        trunk: nn.Module,
        hidden_features: int | None = None,
        feature_width: int | None = None,
        input_shape: tuple[int, int, int] | None = None,
        initialization: Initialization | None = "xavier_uniform",
    ) -> None:
        sizes = auxiliary_classes(psi, num_classes)
        super().__init__(trunk, hidden_features, feature_width, input_shape, initialization)
        self.num_classes = num_classes
        self.psi = sizes
        self.primary_head = self._make_head(num_classes)
        self.auxiliary_head = self._make_head(sum(sizes))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return primary logits ``(N, C)`` and auxiliary logits ``(N, Σψ)`` of a batch of images."""
        features = self.features(x)
        return self.primary_head(features), self.auxiliary_head(features)

    def classifier(self) -> Classifier:
        """Return the classifier of the primary task, which shares this network's trunk and primary head."""
        # The head that the constructor makes is thrown away: on the meta device it takes neither memory nor
        # random numbers, so that exporting during training does not change the run.
        with torch.device("meta"):
            classifier = Classifier(
                self.num_classes, self.trunk, self.hidden_features, self.feature_width, initialization=None
            )
        classifier.primary_head = self.primary_head
        classifier.training = self.training  # train() would overwrite the trunk's own flags
        return classifier
