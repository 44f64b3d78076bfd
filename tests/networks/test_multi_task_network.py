"""The multi-task network, its heads, and the classifier that shares its weights."""

import pytest
import torch

from maxl_lightning.networks import VGG16, Classifier, ConvNet4, Head, MultiTaskNetwork, ResNet32, Trunk


def small_trunk() -> ConvNet4:
    return ConvNet4(1, (4, 4, 8, 8))


def test_parameters_of_the_papers_network() -> None:
    network = MultiTaskNetwork(20, 5, VGG16())
    assert sum(parameter.numel() for parameter in network.parameters()) == 15_310_008


@pytest.mark.parametrize(("psi", "expected"), [(3, (3, 3, 3, 3)), ([2, 1, 4, 1], (2, 1, 4, 1)), ([1] * 4, (1,) * 4)])
def test_shapes(psi: int | list[int], expected: tuple[int, ...]) -> None:
    network = MultiTaskNetwork(4, psi, small_trunk())
    primary, auxiliary = network(torch.randn(5, 1, 8, 8))
    assert primary.shape == (5, 4)
    assert auxiliary.shape == (5, sum(expected))
    assert network.psi == expected
    assert network.num_classes == 4


@pytest.mark.parametrize("trunk", [ResNet32, ConvNet4])
def test_the_other_trunks_of_the_paper(trunk: type[Trunk]) -> None:
    primary, auxiliary = MultiTaskNetwork(10, 5, trunk())(torch.randn(2, 3, 32, 32))
    assert primary.shape == (2, 10)
    assert auxiliary.shape == (2, 50)


def test_heads_are_as_wide_as_the_trunk_unless_told_otherwise() -> None:
    assert [tuple(p.shape) for p in Head(6, 3).parameters()] == [(6, 6), (6,), (3, 6), (3,)]
    network = MultiTaskNetwork(4, 2, small_trunk(), hidden_features=5)
    assert network.primary_head[0].out_features == 5
    assert network.auxiliary_head[0].out_features == 5
    with pytest.raises(ValueError, match="hidden_features is 0"):
        MultiTaskNetwork(4, 2, small_trunk(), hidden_features=0)


@pytest.mark.parametrize("psi", [[2, 1], 0, [2, 1, 0, 1]])
def test_psi_must_fit(psi: int | list[int]) -> None:
    with pytest.raises(ValueError, match="psi"):
        MultiTaskNetwork(4, psi, small_trunk())


@pytest.mark.parametrize("num_classes", [0, -1, True, 2.0])
def test_the_number_of_classes_must_be_positive(num_classes: int) -> None:
    with pytest.raises(ValueError, match="num_classes"):
        Classifier(num_classes, small_trunk())


def test_the_classifier_shares_trunk_and_primary_head() -> None:
    network = MultiTaskNetwork(4, 2, small_trunk(), hidden_features=5).eval()
    classifier = network.classifier()
    x = torch.randn(3, 1, 8, 8)
    torch.testing.assert_close(classifier(x), network(x)[0], rtol=0, atol=0)
    assert classifier.trunk is network.trunk
    assert classifier.primary_head is network.primary_head
    assert classifier.hidden_features == 5
    assert not any(parameter.is_meta for parameter in classifier.parameters())
    names = dict(network.named_parameters())
    assert all(names[name] is parameter for name, parameter in classifier.named_parameters())


def test_taking_the_classifier_changes_nothing() -> None:
    network = MultiTaskNetwork(4, 2, small_trunk())
    network.trunk.layers[0][1].eval()  # a frozen BatchNorm
    flags = [module.training for module in network.modules()]
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    random_state = torch.get_rng_state()
    assert network.classifier().training
    assert torch.equal(torch.get_rng_state(), random_state)
    assert [module.training for module in network.modules()] == flags
    assert all(torch.equal(value, weights[name]) for name, value in network.state_dict().items())


def test_the_classifier_can_be_exported() -> None:
    classifier = MultiTaskNetwork(4, 2, small_trunk()).eval().classifier()
    x = torch.randn(3, 1, 8, 8)
    batch = torch.export.Dim("batch")
    program = torch.export.export(classifier, (x,), dynamic_shapes={"x": {0: batch}})
    more = torch.randn(7, 1, 8, 8)
    torch.testing.assert_close(program.module()(more), classifier(more))


def test_both_tasks_reach_the_trunk() -> None:
    network = MultiTaskNetwork(4, 2, small_trunk())
    for output in network(torch.randn(3, 1, 8, 8)):
        gradients = torch.autograd.grad(output.square().sum(), list(network.trunk.parameters()), retain_graph=True)
        assert all(gradient.isfinite().all() for gradient in gradients)
        assert any(gradient.abs().sum() > 0 for gradient in gradients)
