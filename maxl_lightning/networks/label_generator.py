"""The label-generation network g of the paper."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from maxl_lightning.functional import auxiliary_classes, hierarchy_mask, masked_softmax
from maxl_lightning.networks.base import TrunkWithHeads
from maxl_lightning.networks.trunk import Initialization

__all__ = ["LabelGenerator"]


class LabelGenerator(TrunkWithHeads):
    """The label generator: soft auxiliary labels from an image and its primary class (paper, section 3.3).

    A trunk and a head to Σψ logits, then the mask softmax over the block of the image's own primary class.
    Images ``(N, channels, H, W)`` and primary labels ``(N,)`` → soft labels ``(N, Σψ)``.

    Args:
        num_classes: number of primary classes C.
        psi: hierarchy ψ, the number of auxiliary classes of each primary class, or one number for all.
        trunk: module from images to features ``(N, d)``, not the multi-task network's: its weights are θ2.
        hidden_features: hidden width of the head; None means d, as in the paper.
        feature_width: number of features d; None means the trunk's ``out_features`` or ``num_features``.
        input_shape: shape ``(channels, height, width)`` of an image, to measure d if the trunk does not tell.
        initialization: Xavier weights and zero biases for the head, and for the trunk if it is a fresh one
            of this package. Other trunks keep their weights. None leaves PyTorch's initialisation everywhere.

    Raises:
        ValueError: if ψ does not fit C, d cannot be known, or the trunk does not give ``(N, d)``.
    """

    mask: Tensor

    def __init__(
        self,
        num_classes: int,
        psi: int | Sequence[int],
        trunk: nn.Module,
        hidden_features: int | None = None,
        feature_width: int | None = None,
        input_shape: tuple[int, int, int] | None = None,
        initialization: Initialization | None = "xavier_normal",
    ) -> None:
        sizes = auxiliary_classes(psi, num_classes)
        super().__init__(trunk, hidden_features, feature_width, input_shape, initialization)
        self.num_classes = num_classes
        self.psi = sizes
        self.head = self._make_head(sum(sizes))
        self.register_buffer("mask", hierarchy_mask(sizes), persistent=False)  # ψ says it all

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return soft labels whose rows sum to one, exactly zero outside the block of the primary class.

        Args:
            x: images ``(N, channels, H, W)``.
            y: primary labels ``(N,)`` of type int64, from 0 to C − 1.

        Returns:
            Soft labels ``(N, Σψ)``.

        Raises:
            ValueError: if the labels have another type or shape, or (on the CPU) lie outside the range.
        """
        self._check_labels(x, y)
        # index_select and not mask[y], which takes -1 for the last class without complaint
        return masked_softmax(self.head(self.features(x)), self.mask.index_select(0, y))

    def _check_labels(self, x: Tensor, y: Tensor) -> None:
        if y.dtype != torch.int64 or y.shape != x.shape[:1]:
            raise ValueError(
                f"primary labels must be class indices of type int64 and shape ({x.shape[0]},), one per "
                f"image, not {y.dtype} of shape {tuple(y.shape)}."
            )
        # Reading a value would stall a GPU at every batch, and break a compiled graph. There index_select has
        # the last word: it fails for a label that is out of range, only less readably.
        if y.device.type != "cpu" or torch.compiler.is_compiling() or y.numel() == 0:
            return
        for label in y.aminmax():
            if not 0 <= label < self.num_classes:
                raise ValueError(
                    f"primary label {int(label)} is outside 0 … {self.num_classes - 1}: labels must count "
                    f"from 0, and num_classes (now {self.num_classes}) must match the data set."
                )
