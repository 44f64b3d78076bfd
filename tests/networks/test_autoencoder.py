"""The autoencoder takes images of any size, and learns them."""

import pytest
import torch
from torch.nn import functional as F

from maxl_lightning.datasets import Digits
from maxl_lightning.labels.latents import autoencoder_latents, scaled_down, train_autoencoder
from maxl_lightning.networks import Autoencoder

SETTINGS = {"latent_size": 16, "batch_size": 50, "learning_rate": 3e-3, "seed": 0}


@pytest.mark.parametrize(
    ("shape", "convolutions"),
    [((1, 8, 8), 1), ((1, 28, 28), 3), ((3, 32, 32), 3), ((3, 64, 48), 4), ((3, 224, 224), 6), ((2, 5, 1), 1),
     ((3, 1, 1), 1), ((1, 33, 7), 4)],
)  # fmt: skip
def test_images_of_any_size_come_back_in_their_size(shape, convolutions):
    autoencoder = Autoencoder(shape, latent_size=5)
    x = torch.zeros(2, *shape)
    assert autoencoder.encode(x).shape == (2, 5)
    assert autoencoder(x).shape == x.shape
    assert len(autoencoder.convolutions) == convolutions


@pytest.mark.parametrize(("shape", "latent_size"), [((1, 8), 5), ((1, 0, 8), 5), ((1, 8, 8), 0)])
def test_sizes_that_are_not_positive_are_refused(shape, latent_size):
    with pytest.raises(ValueError, match="all positive"):
        Autoencoder(shape, latent_size)


def test_training_reduces_the_error_on_real_images():
    """Sixteen numbers explain most of what the mean image, the best constant, leaves; none is left out."""
    images = Digits(indices=range(200)).images
    mean_error = (images - images.mean(dim=0)).square().mean()
    errors = []
    for steps in (1, 300):
        autoencoder = train_autoencoder(images, steps=steps, **SETTINGS)
        with torch.no_grad():
            errors.append(F.mse_loss(autoencoder(images), images))
    assert errors[0] > mean_error
    assert errors[1] < 0.3 * mean_error


def test_it_is_a_function_of_the_seed_and_leaves_the_random_state_alone():
    images = Digits(indices=range(60)).images
    state = torch.random.get_rng_state()
    first = autoencoder_latents(train_autoencoder(images, steps=3, **SETTINGS), images)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.rand(1)
    assert torch.equal(autoencoder_latents(train_autoencoder(images, steps=3, **SETTINGS), images), first)
    other = train_autoencoder(images, steps=3, **{**SETTINGS, "seed": 1})
    assert not torch.allclose(autoencoder_latents(other, images), first)


@pytest.mark.parametrize(
    ("shape", "scaled"),
    [((3, 8, 8), (8, 8)), ((1, 64, 64), (32, 32)), ((3, 224, 100), (32, 14)), ((1, 90, 1), (32, 1))],
)
def test_large_images_are_averaged_down_in_their_proportions(shape, scaled):
    images = torch.rand(2, *shape)
    small = scaled_down(images, 32)
    assert small.shape == (2, shape[0], *scaled)
    if shape == (1, 64, 64):
        assert torch.allclose(small, F.avg_pool2d(images, 2))
    if max(shape) <= 32:
        assert small is images
