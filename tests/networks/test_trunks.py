"""The package's own trunks: sizes to the last digit, shapes, and which images they take."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from maxl_lightning.networks import VGG16, ConvNet4, ResNet32, Trunk


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("trunk", "parameters"),
    [
        (VGG16, 14_723_136),  # 14,714,688 of torchvision's vgg16().features and 8,448 of BatchNorm
        (ResNet32, 463_504),  # He et al.'s 0.46M, without the 650 of the 10-way classifier
        (ConvNet4, 1_552_896),
        (partial(ConvNet4, 1, (8, 8, 16, 32)), 6_600),
    ],
    ids=["vgg", "resnet", "convnet", "small convnet"],
)
def test_number_of_parameters(trunk: Callable[[], Trunk], parameters: int) -> None:
    assert count(trunk()) == parameters


@pytest.mark.parametrize(
    ("trunk", "shape"),
    [
        (VGG16, (3, 32, 32)),
        (VGG16, (3, 64, 48)),
        (VGG16, (1, 33, 35)),
        (ConvNet4, (3, 32, 32)),
        (ConvNet4, (1, 28, 28)),
        (ConvNet4, (1, 8, 8)),
        (partial(ConvNet4, channels=[4, 4, 4, 7]), (1, 1, 3)),
        (ResNet32, (3, 32, 32)),
        (ResNet32, (1, 9, 7)),
    ],
)
def test_features_have_the_announced_width(trunk: Callable[[int], Trunk], shape: tuple[int, int, int]) -> None:
    built = trunk(shape[0]).eval()
    features = built(torch.randn(2, *shape))
    assert features.shape == (2, built.out_features)
    assert features.isfinite().all()


def test_the_average_over_a_32x32_image_is_the_identity() -> None:
    vgg, x = VGG16().eval(), torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(vgg(x), vgg.blocks(x).flatten(1), rtol=0, atol=0)


def test_vgg_refuses_images_that_its_pooling_would_swallow() -> None:
    with pytest.raises(ValueError, match=r"at least 32×32 pixels, got 28×32.*ConvNet4"):
        VGG16(1)(torch.zeros(1, 1, 28, 32))


@pytest.mark.parametrize("channels", [(8, 8, 8), (8,) * 5, (8, 8, 0, 8)])
def test_convnet_refuses_other_than_four_widths(channels: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"channels is \[8, .*four positive numbers"):
        ConvNet4(1, channels)


@pytest.mark.parametrize(("trunk", "layers"), [(ResNet32, 31), (VGG16, 13), (ConvNet4, 4)])
def test_depth(trunk: Callable[[], Trunk], layers: int) -> None:
    """ResNet-32 has 32 weighted layers with its linear classifier; the shortcuts have none."""
    kinds = [type(module) for module in nn.Sequential(trunk(), nn.Linear(64, 10)).modules()]
    assert kinds.count(nn.Conv2d) == layers
    assert kinds.count(nn.Conv2d) + kinds.count(nn.Linear) == layers + 1


def test_a_resnet_block_with_zero_weights_is_its_shortcut() -> None:
    """Option A: subsample, and pad the new channels with zeros."""
    block = ResNet32().stages[1][0].eval()
    for convolution in (block.conv1, block.conv2):
        nn.init.zeros_(convolution.weight)
    x = torch.rand(2, 16, 6, 6)
    y = block(x)
    assert y.shape == (2, 32, 3, 3)
    torch.testing.assert_close(y[:, :16], x[:, :, ::2, ::2], rtol=0, atol=0)
    assert (y[:, 16:] == 0).all()


def test_convnet_learns_the_digits() -> None:
    """8×8 grey images, with a few dozen steps on a training set that the small trunk must fit."""
    torch.manual_seed(0)
    pixels, labels = load_digits(return_X_y=True)
    x = torch.tensor(pixels, dtype=torch.float32).view(-1, 1, 8, 8)[:200] / 16
    y = torch.tensor(labels)[:200]
    model = nn.Sequential(ConvNet4(1, (8, 16, 16, 32)), nn.Linear(32, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(30):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    assert (model(x).argmax(1) == y).float().mean() > 0.95
