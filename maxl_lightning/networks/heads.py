"""The task head: two linear layers on the trunk's features."""

from torch import nn

__all__ = ["Head"]


class Head(nn.Sequential):
    """Linear d → hidden, ReLU, Linear hidden → n (authors' released script, where hidden = d = 512).

    Features ``(N, d)`` → logits ``(N, n)``.

    Args:
        in_features: number of features d.
        out_features: number of classes n.
        hidden_features: width of the hidden layer; None means d.

    Raises:
        ValueError: if the hidden width is not positive.
    """

    def __init__(self, in_features: int, out_features: int, hidden_features: int | None = None) -> None:
        hidden = in_features if hidden_features is None else hidden_features
        if hidden < 1:
            raise ValueError(f"hidden_features is {hidden}: give a positive width, or None for the trunk's.")
        super().__init__(nn.Linear(in_features, hidden), nn.ReLU(), nn.Linear(hidden, out_features))
