"""What the package's own trunks have in common, and the paper's initialisation.

A trunk is any module that turns images into features ``(N, d)``. A trunk of this package that is still fresh
is initialised by the first network that takes it, because the paper initialises the two networks differently:
Xavier uniform for the multi-task network, Xavier normal for the label generator (authors' released script).
Anyone else's trunk, pretrained or not, is left as it came.
"""

from typing import Any, Literal

from torch import nn

__all__ = ["Initialization", "Trunk", "initialize", "initialize_fresh_trunks"]

Initialization = Literal["xavier_uniform", "xavier_normal"]


class Trunk(nn.Module):
    """Base class of the trunks that the network owning them initialises.

    Subclass it to have a trunk of your own initialised in the paper's way; any other ``nn.Module`` also
    serves as a trunk, and keeps its weights.

    Args:
        out_features: number of features d of the output ``(N, d)``.

    Attributes:
        fresh: whether the weights are still the constructor's. Initialising them and loading a state dict end
            this, so that trained weights survive being put into another network.
    """

    def __init__(self, out_features: int) -> None:
        super().__init__()
        self.out_features = out_features
        self.fresh = True
        self.register_load_state_dict_post_hook(_mark_used)  # type: ignore[no-untyped-call]


def _mark_used(trunk: Trunk, _: Any) -> None:
    trunk.fresh = False


def initialize(module: nn.Module, initialization: Initialization) -> None:
    """Set convolutional and linear layers to Xavier weights and zero biases, in place.

    Source: Glorot and Bengio, AISTATS 2010; the authors' script uses both of its distributions. Normalisation
    layers keep PyTorch's scale 1 and shift 0.

    Args:
        module: network whose layers are set.
        initialization: ``"xavier_uniform"`` or ``"xavier_normal"``.

    Raises:
        ValueError: if the initialisation is neither.
    """
    match initialization:
        case "xavier_uniform":
            fill = nn.init.xavier_uniform_
        case "xavier_normal":
            fill = nn.init.xavier_normal_
        case _:
            raise ValueError(
                f"initialization is {initialization!r}: use 'xavier_uniform' or 'xavier_normal', or None for "
                "PyTorch's own initialisation."
            )
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            fill(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def initialize_fresh_trunks(module: nn.Module, initialization: Initialization) -> None:
    """Initialise each fresh :class:`Trunk` in the module, wrapped ones included; touch nothing else.

    Args:
        module: a trunk, or something that wraps one (``nn.Sequential``, a compiled module).
        initialization: ``"xavier_uniform"`` or ``"xavier_normal"``.
    """
    for part in module.modules():
        if isinstance(part, Trunk) and part.fresh:
            initialize(part, initialization)
            part.fresh = False
