"""The gradient cosine against its definition: flattened gradients of the trunk, by ordinary autograd."""

import copy
from types import SimpleNamespace

import pytest
import torch
import unrolled
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback
from torch import nn
from watching import PSI, Shades, digits, maxl, watch

from maxl_lightning import ConvNet4, LabelGenerator, MAXLModule, MultiTaskModule, MultiTaskNetwork
from maxl_lightning.callbacks import GradientCosine
from maxl_lightning.callbacks.gradient_cosine import gradient_cosine
from maxl_lightning.labels import HumanLabels


def by_definition(module, batches, labels):
    """Mean over batches of the cosine over the trunk's parameters, in train mode, on a copy."""
    cosines = []
    for x, y, auxiliary in batches:
        network = copy.deepcopy(module.network).train()
        primary, other = network(x)
        losses = unrolled.focal(primary, y, 2.0).mean(), unrolled.focal(other, labels(x, y, auxiliary), 2.0).mean()
        parameters = list(network.trunk.parameters())
        a, b = (torch.cat([g.flatten() for g in torch.autograd.grad(loss, parameters, retain_graph=True)])
                for loss in losses)  # fmt: skip
        cosines.append(float(a @ b / (a.norm() * b.norm())))
    return sum(cosines) / len(cosines)


class Batches(Callback):
    """Keeps what the cosine is of."""

    def __init__(self, cosine):
        self.cosine = cosine

    def on_train_end(self, trainer, module):
        self.batches = list(self.cosine._batches(trainer, module))


def plain_trunk():
    return ConvNet4(in_channels=1, channels=(4, 4, 6, 6))  # dropout's masks would be the callback's own


def test_maxl_with_the_labels_the_generator_now_gives():
    torch.manual_seed(0)
    module = MAXLModule(MultiTaskNetwork(2, (5, 5), plain_trunk()), LabelGenerator(2, (5, 5), plain_trunk()))
    cosine = GradientCosine(num_images=45, batch_size=20)
    seen = Batches(cosine)
    made = watch([seen, cosine], module, epochs=2)
    batches = [batch for batch in seen.batches if len(batch.y) == 20]
    assert len(seen.batches) == 3
    assert len(batches) == 2  # the smaller last one has other statistics, and is left out
    expected = by_definition(module, batches, lambda x, y, _: module.label_generator(x, y).detach())
    assert cosine.history[2]["train/gradient_cosine"] == pytest.approx(expected, abs=1e-5)
    assert float(made.callback_metrics["train/gradient_cosine"]) == pytest.approx(expected, abs=1e-5)
    assert abs(expected) > 1e-3


def test_given_labels():
    torch.manual_seed(0)
    module = MultiTaskModule(MultiTaskNetwork(2, (5, 5), plain_trunk()))
    cosine = GradientCosine(num_images=20, batch_size=20)
    seen = Batches(cosine)
    watch([seen, cosine], module, digits(auxiliary_labels=HumanLabels()))
    expected = by_definition(module, seen.batches, lambda x, y, auxiliary: auxiliary)
    assert cosine.history[1]["train/gradient_cosine"] == pytest.approx(expected, abs=1e-5)


def test_the_mode_of_training_is_kept():
    """A part that training leaves in evaluation mode, as frozen batch statistics, stays so for the cosine."""
    cosines = []
    for frozen in (False, True):
        torch.manual_seed(0)
        module = MAXLModule(MultiTaskNetwork(2, (5, 5), plain_trunk()), LabelGenerator(2, (5, 5), plain_trunk()))
        cosine = GradientCosine(num_images=20, batch_size=20)
        watch([cosine], module, epochs=1, limit_train_batches=1)
        if frozen:
            module.network.eval()
        batch = next(iter(cosine.sample))
        cosines.append(cosine.observe(module, iter([module._micro_batch(batch)])))
    assert cosines[0] != cosines[1]


class Pair(nn.Module):
    """Two shared weights, and one of each head's own."""

    def __init__(self):
        super().__init__()
        self.shared = nn.Parameter(torch.tensor([3.0, 4.0]))
        self.own, self.other = nn.Parameter(torch.tensor(1.0)), nn.Parameter(torch.tensor(1.0))


def test_known_cosines():
    pair = Pair()
    first, second = pair.shared[0] * pair.own, pair.shared[1] * pair.other
    assert gradient_cosine(pair, first, first) == pytest.approx(1)
    assert gradient_cosine(pair, first, 7 * first) == pytest.approx(1)
    assert gradient_cosine(pair, first, -first) == pytest.approx(-1)
    assert gradient_cosine(pair, first, second) == pytest.approx(0)
    both = 10 / (10 * 11) ** 0.5  # (1, 0) and (1, 1) on the shared weights, 3 and 3 on the first head's own
    assert gradient_cosine(pair, first, first + second) == pytest.approx(both)
    assert gradient_cosine(pair, first, 0 * second) == 0  # pulls nowhere
    assert gradient_cosine(pair, 1e-30 * first, 1e-30 * (first + second)) == pytest.approx(both)


def test_it_is_one_cosine_and_no_mean_over_layers():
    class Layers(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Parameter(torch.tensor(1.0)), nn.Parameter(torch.tensor(1.0))

    layers = Layers()
    first, second = 3 * layers.a + layers.b, 3 * layers.a - layers.b  # by layers it would be (1 − 1) / 2
    assert gradient_cosine(layers, first, second) == pytest.approx((9 - 1) / 10)


def test_without_a_shared_trunk_in_training_there_is_none():
    pair = Pair()
    pair.shared.requires_grad_(False)
    with pytest.raises(MisconfigurationException, match="reach no common parameter"):
        gradient_cosine(pair, pair.shared[0] * pair.own, pair.shared[1] * pair.other)


def test_the_picture_has_a_point_for_each_epoch():
    cosine = GradientCosine(num_images=10)
    watch([cosine], maxl(3, PSI), Shades(12), epochs=3)
    (axes,) = cosine.draw(3).axes
    line = axes.get_lines()[-1]
    assert line.get_xdata().tolist() == [1, 2, 3]
    assert line.get_ydata().tolist() == [cosine.history[epoch]["train/gradient_cosine"] for epoch in (1, 2, 3)]


def test_batch_statistics_of_several_processes_are_refused():
    """One process looks, and SyncBatchNorm in train mode would wait for the others."""
    module = maxl()
    module.network = nn.SyncBatchNorm.convert_sync_batchnorm(module.network)
    module.trainer = SimpleNamespace(world_size=2)
    with pytest.raises(MisconfigurationException, match="SyncBatchNorm"):
        GradientCosine().check(module, None)
    module.trainer = SimpleNamespace(world_size=1)
    GradientCosine().check(module, None)
