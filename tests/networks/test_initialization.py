"""The paper's initialisation, and whose weights it may touch."""

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from maxl_lightning.networks import VGG16, Classifier, ConvNet4, LabelGenerator, MultiTaskNetwork


def layers(module: nn.Module) -> list[nn.Conv2d | nn.Linear]:
    return [layer for layer in module.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]


def xavier_deviation(weight: Tensor) -> float:
    receptive_field = weight[0, 0].numel()
    return math.sqrt(2 / (receptive_field * (weight.shape[0] + weight.shape[1])))


def assert_xavier(module: nn.Module, uniform: bool) -> None:
    for layer in layers(module):
        assert layer.bias is not None
        assert (layer.bias == 0).all()
        weight = layer.weight.detach()
        deviation = xavier_deviation(weight)
        bound = math.sqrt(3) * deviation
        noise = 4 / math.sqrt(weight.numel())
        assert abs(weight.mean()) < noise * deviation
        assert float(weight.std()) == pytest.approx(deviation, rel=noise)
        largest = weight.abs().max()
        assert largest > 0.97 * bound
        assert (largest <= bound * (1 + 1e-6)) == uniform


def snapshot(module: nn.Module) -> dict[str, Tensor]:
    return copy.deepcopy(module.state_dict())


def assert_same(module: nn.Module, before: dict[str, Tensor]) -> None:
    for name, value in module.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0, msg=name)


def test_multi_task_network_starts_xavier_uniform() -> None:
    torch.manual_seed(0)
    assert_xavier(MultiTaskNetwork(4, 5, ConvNet4(3, (32, 32, 64, 64))), uniform=True)
    assert_xavier(Classifier(4, ConvNet4(3, (32, 32, 64, 64))), uniform=True)


def test_label_generator_starts_xavier_normal() -> None:
    torch.manual_seed(0)
    assert_xavier(LabelGenerator(4, 5, ConvNet4(3, (32, 32, 64, 64))), uniform=False)


def test_the_other_distribution_on_request() -> None:
    torch.manual_seed(0)
    trunk = ConvNet4(3, (32, 32, 64, 64))
    assert_xavier(LabelGenerator(4, 5, trunk, initialization="xavier_uniform"), uniform=True)


def test_unknown_initialization_is_refused() -> None:
    with pytest.raises(ValueError, match="'kaiming': use 'xavier_uniform' or 'xavier_normal'"):
        Classifier(4, ConvNet4(1), initialization="kaiming")  # type: ignore[arg-type]


def test_normalisation_layers_keep_scale_one_and_shift_zero() -> None:
    for module in MultiTaskNetwork(4, 5, VGG16()).modules():
        if isinstance(module, nn.BatchNorm2d):
            assert (module.weight == 1).all()
            assert (module.bias == 0).all()


def foreign_trunk() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.AdaptiveAvgPool2d(1), nn.Flatten())


@pytest.mark.parametrize("network", [MultiTaskNetwork, LabelGenerator])
def test_a_foreign_trunk_keeps_its_weights(network: type[nn.Module]) -> None:
    trunk = foreign_trunk()
    before = snapshot(trunk)
    built = network(3, 2, trunk, feature_width=6)
    assert_same(trunk, before)
    heads = [layer for name, layer in built.named_modules() if isinstance(layer, nn.Linear)]
    assert heads
    assert all((head.bias == 0).all() for head in heads)


def test_loaded_weights_survive() -> None:
    trunk = ConvNet4(1, (4, 4, 4, 4))
    trunk.load_state_dict(ConvNet4(1, (4, 4, 4, 4)).state_dict())
    before = snapshot(trunk)
    Classifier(3, trunk)
    assert_same(trunk, before)


def test_weights_loaded_through_a_wrapper_survive() -> None:
    wrapper = nn.Sequential(ConvNet4(1, (4, 4, 4, 4)))
    wrapper.load_state_dict(copy.deepcopy(wrapper).state_dict())
    before = snapshot(wrapper)
    Classifier(3, copy.deepcopy(wrapper), feature_width=4)
    Classifier(3, wrapper, feature_width=4)
    assert_same(wrapper, before)


def test_a_second_network_does_not_initialise_the_trunk_again() -> None:
    trunk = MultiTaskNetwork(3, 2, ConvNet4(1, (4, 4, 4, 4))).trunk
    before = snapshot(trunk)
    LabelGenerator(3, 2, trunk)
    assert_same(trunk, before)


def test_a_fresh_trunk_inside_a_wrapper_is_initialised() -> None:
    torch.manual_seed(0)
    wrapper = nn.Sequential(nn.Identity(), ConvNet4(3, (32, 32, 64, 64)))
    assert_xavier(Classifier(4, wrapper, feature_width=64), uniform=True)


def test_none_leaves_everything_as_pytorch_made_it() -> None:
    trunk = ConvNet4(1, (4, 4, 4, 4))
    before = snapshot(trunk)
    network = MultiTaskNetwork(3, 2, trunk, initialization=None)
    assert_same(trunk, before)
    assert all((layer.bias != 0).any() for layer in layers(network.primary_head))


def test_the_seed_decides() -> None:
    torch.manual_seed(3)
    before = snapshot(MultiTaskNetwork(3, 2, ConvNet4(1, (4, 4, 4, 4))))
    torch.manual_seed(3)
    assert_same(MultiTaskNetwork(3, 2, ConvNet4(1, (4, 4, 4, 4))), before)
