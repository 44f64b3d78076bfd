"""A trunk with heads: what the classifier, the multi-task network and the label generator share."""

from torch import Tensor, nn

from maxl_lightning.networks.heads import Head
from maxl_lightning.networks.trunk import Initialization, initialize, initialize_fresh_trunks
from maxl_lightning.networks.width import check_features, find_width

__all__ = ["TrunkWithHeads"]


class TrunkWithHeads(nn.Module):
    """Base class that owns a trunk, knows its width, and makes heads for it.

    Args:
        trunk: module from images to features ``(N, d)``.
        hidden_features: hidden width of the heads; None means d.
        feature_width: number of features d; None means read it from the trunk.
        input_shape: shape ``(channels, height, width)`` of an image to measure d with, or None.
        initialization: for the heads and a fresh trunk of this package; None means PyTorch's own.

    Raises:
        ValueError: if d cannot be known or the trunk does not give ``(N, d)``.
    """

    def __init__(
        self,
        trunk: nn.Module,
        hidden_features: int | None,
        feature_width: int | None,
        input_shape: tuple[int, int, int] | None,
        initialization: Initialization | None,
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.hidden_features = hidden_features
        self.feature_width = find_width(trunk, feature_width, input_shape)
        self.initialization = initialization
        if initialization is not None:
            initialize_fresh_trunks(trunk, initialization)

    def _make_head(self, num_classes: int) -> Head:
        head = Head(self.feature_width, num_classes, self.hidden_features)
        if self.initialization is not None:
            initialize(head, self.initialization)
        return head

    def features(self, x: Tensor) -> Tensor:
        """Return the trunk's features ``(N, d)`` of images ``(N, channels, H, W)``.

        Raises:
            ValueError: if the trunk gives something else.
        """
        features: Tensor = self.trunk(x)
        check_features(features, self.trunk, self.feature_width)
        return features
