"""The width of a trunk's features: declared, read, measured without a trace, or refused."""

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import shufflenet_v2_x0_5

from maxl_lightning.networks import Classifier, ConvNet4, MultiTaskNetwork
from maxl_lightning.networks.width import find_width, measure_width


class Restless(nn.Module):
    """A trunk that draws random numbers and counts its calls even in eval mode."""

    calls: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.Dropout(0.5))
        self.body[1].eval()  # frozen by its owner
        self.register_buffer("calls", torch.tensor(0))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        features: Tensor = self.body(x + torch.rand_like(x)).mean(dim=(2, 3))
        return features


def flat(width: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(12, width))


def test_measuring_leaves_no_trace() -> None:
    trunk = Restless()
    state = {name: value.clone() for name, value in trunk.state_dict().items()}
    flags = [module.training for module in trunk.modules()]
    random_state = torch.get_rng_state()
    assert measure_width(trunk, (3, 8, 8)) == 5
    assert torch.equal(torch.get_rng_state(), random_state)
    assert [module.training for module in trunk.modules()] == flags
    assert len(set(flags)) == 2
    for name, value in trunk.state_dict().items():
        assert torch.equal(value, state[name]), name
    assert all(parameter.grad is None for parameter in trunk.parameters())


def test_flags_return_even_if_the_trunk_fails() -> None:
    trunk = Restless()
    flags = [module.training for module in trunk.modules()]
    with pytest.raises(RuntimeError):
        measure_width(trunk, (4, 8, 8))
    assert [module.training for module in trunk.modules()] == flags


def test_measured_in_the_trunks_own_precision() -> None:
    assert measure_width(flat(7).double(), (3, 2, 2)) == 7


def test_a_trunk_without_parameters_is_measured_too() -> None:
    assert measure_width(nn.Flatten(), (3, 2, 2)) == 12


def test_read_from_the_usual_attributes() -> None:
    assert find_width(ConvNet4(1, (4, 4, 4, 9)), None, None) == 9
    timm_like = flat(7)
    timm_like.num_features = 7  # type: ignore[assignment]
    assert find_width(timm_like, None, None) == 7


def test_a_declared_width_goes_before_the_attribute() -> None:
    """timm's num_features is not the output's width where a model has a separate pre-logits layer."""
    trunk = flat(7)
    trunk.num_features = 3  # type: ignore[assignment]
    assert find_width(trunk, 7, None) == 7
    assert find_width(trunk, None, (3, 2, 2)) == 7


def test_unknown_width_says_what_to_give() -> None:
    with pytest.raises(ValueError, match=r"trunk Sequential is unknown.*Give feature_width, or input_shape"):
        MultiTaskNetwork(3, 2, flat(7))


@pytest.mark.parametrize("width", [0, -1])
def test_a_width_that_is_not_positive(width: int) -> None:
    with pytest.raises(ValueError, match=f"feature_width is {width}"):
        Classifier(3, flat(7), feature_width=width)


@pytest.mark.parametrize("shape", [(8, 8), (3, 0, 8), (1, 3, 8, 8)])
def test_an_input_shape_that_is_none(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"input_shape is .*channels, height, width"):
        measure_width(flat(7), shape)  # type: ignore[arg-type]


def test_declared_and_measured_widths_must_agree() -> None:
    with pytest.raises(ValueError, match="feature_width is 8 but the trunk Sequential gives 7"):
        Classifier(3, flat(7), feature_width=8, input_shape=(3, 2, 2))


def test_a_wrong_declared_width_is_found_at_the_first_batch() -> None:
    network = Classifier(3, flat(7), feature_width=8)
    with pytest.raises(ValueError, match=r"\(2, 7\) where \(N, 8\) was expected.*give feature_width=7"):
        network(torch.zeros(2, 3, 2, 2))


def test_feature_maps_are_refused_with_their_shape() -> None:
    trunk = nn.Conv2d(3, 7, 3)
    with pytest.raises(ValueError, match=r"shape \(1, 7, 6, 6\) instead of \(N, d\): pool and flatten"):
        Classifier(3, trunk, input_shape=(3, 8, 8))
    with pytest.raises(ValueError, match=r"shape \(2, 7, 6, 6\) instead of \(N, d\)"):
        Classifier(3, trunk, feature_width=7)(torch.zeros(2, 3, 8, 8))


def test_a_trunk_that_returns_a_tuple_is_refused() -> None:
    class Pair(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return x.flatten(1), x

    with pytest.raises(ValueError, match="trunk Pair returned a tuple"):
        Classifier(3, Pair(), input_shape=(3, 8, 8))


def test_a_torchvision_backbone_serves_as_trunk() -> None:
    backbone = shufflenet_v2_x0_5()
    backbone.fc = nn.Identity()
    network = MultiTaskNetwork(3, [2, 1, 4], backbone, input_shape=(3, 32, 32)).eval()
    assert network.feature_width == 1024
    primary, auxiliary = network(torch.randn(2, 3, 32, 32))
    assert primary.shape == (2, 3)
    assert auxiliary.shape == (2, 7)
