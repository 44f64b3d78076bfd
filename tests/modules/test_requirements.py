"""Bad input: each refusal comes early, names what is wrong, and says what to do instead."""

import cases
import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.strategies import DDPStrategy, DeepSpeedStrategy, FSDPStrategy, SingleDeviceStrategy
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from training import data, fit, maxl

from maxl_lightning.modules import MAXLModule, MultiTaskModule, SingleTaskModule
from maxl_lightning.modules.requirements import check_strategy
from maxl_lightning.networks import Classifier, LabelGenerator, MultiTaskNetwork


def networks(psi=cases.PSI, generator_psi=None):
    network = MultiTaskNetwork(3, psi, cases.SmoothTrunk())
    return network, LabelGenerator(3, generator_psi or psi, cases.SmoothTrunk())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"psi": [3, 1]}, r"psi has 2 entries but there are 3 primary classes"),
        ({"psi": [3, 0, 2]}, r"psi\[1\] is 0"),
        ({"psi": [3, -1, 2]}, r"psi\[1\] is -1"),
        ({"psi": 0}, r"psi\[0\] is 0"),
        ({"psi": [2, 2, 2]}, r"network was built with psi=\(3, 1, 2\).*give both the same"),
        ({"num_classes": 4, "psi": 2}, r"num_classes=3.*num_classes=4"),
        ({"focal_gamma": 0.5}, r"0\.5.*0 \(cross-entropy\) or a value of at least 1"),
        ({"focal_gamma": -1.0}, r"-1\.0"),
        ({"hypergradient_method": "magic"}, r"'magic'.*'forward'"),
        ({"lookahead": "far"}, r"'far'.*'sgd'"),
        ({"update": "both"}, r"'both'.*'alternating'"),
        ({"update": "alternating", "meta_every_n_steps": 2}, r"leave it at 1, or use update='interleaved'"),
        ({"meta_every_n_steps": 0}, r"at least 1, got 0"),
        ({"accumulate_grad_batches": 0}, r"at least 1, got 0"),
        ({"gradient_clip_val": -1.0}, r"positive, got -1\.0"),
        ({"meta_gradient_clip_val": 0.0}, r"positive, got 0\.0"),
        ({"gradient_clip_val": 1.0, "gradient_clip_algorithm": "l1"}, r"'l1'.*'norm' or 'value'"),
    ],
)
def test_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        MAXLModule(*networks(), **options)


def test_generator_of_another_hierarchy():
    with pytest.raises(ValueError, match=r"label_generator was built with psi=\(2, 2, 2\)"):
        MAXLModule(*networks(generator_psi=(2, 2, 2)))


def test_generator_whose_width_is_not_the_number_of_auxiliary_classes():
    class Narrow(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(192, 5)

        def forward(self, x, y):
            return self.linear(x.flatten(1)).softmax(1)

    module = MAXLModule(networks()[0], Narrow())
    with pytest.raises(ValueError, match=r"auxiliary logits have shape \(6, 6\).*labels of shape \(6, 5\)"):
        fit(module, data(dtype=torch.float32), 1)


def test_generator_without_anything_to_learn():
    network, generator = networks()
    generator.requires_grad_(False)
    with pytest.raises(ValueError, match="meta_optimizer=None"):
        MAXLModule(network, generator)
    fit(MAXLModule(network, generator, meta_optimizer=None), data(dtype=torch.float32), 1)


def test_networks_that_share_a_trunk():
    trunk = cases.SmoothTrunk()
    with pytest.raises(ValueError, match="give the generator a trunk of its own"):
        MAXLModule(MultiTaskNetwork(3, 2, trunk), LabelGenerator(3, 2, trunk))


def test_empty_batch():
    x, y, _ = cases.batch(dtype=torch.float32)
    with pytest.raises(ValueError, match="the batch is empty"):
        MAXLModule(*networks()).hypergradient((x[:0], y[:0]))


class Anonymous(nn.Module):
    """A foreign network that does not say how many classes it has."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(192, 9)

    def forward(self, x):
        return self.linear(x.flatten(1)).split((3, 6), dim=1)


def test_unknown_classes():
    with pytest.raises(ValueError, match="num_classes is not known: pass num_classes"):
        SingleTaskModule(nn.Linear(4, 3))
    with pytest.raises(ValueError, match=r"psi is not known.*data\.psi"):
        MultiTaskModule(Anonymous(), num_classes=3)
    assert MultiTaskModule(Anonymous(), num_classes=3, psi=2).psi == (2, 2, 2)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (torch.tensor([0, 3]), r"label 3 is out of range: there are 3 primary classes"),
        (torch.tensor([-1, 2]), r"label -1 is out of range"),
        (torch.tensor([0.0, 1.0]), r"torch\.float32.*\.long\(\)"),
        (torch.tensor([[0], [1]]), r"shape \(2, 1\)"),
    ],
)
@pytest.mark.parametrize("method", ["single", "maxl"])
def test_labels(label, message, method):
    module = MAXLModule(*networks()) if method == "maxl" else SingleTaskModule(Classifier(3, cases.SmoothTrunk()))
    loader = DataLoader(TensorDataset(torch.randn(2, 3, 8, 8), label), batch_size=2)
    with pytest.raises(ValueError, match=message):
        fit(module, loader, 1)


def test_auxiliary_labels_missing_or_out_of_range():
    module = MultiTaskModule(networks()[0])
    with pytest.raises(ValueError, match=r"no auxiliary labels.*UniformLabels"):
        fit(module, data(dtype=torch.float32), 1)
    x, y, _ = cases.batch(n=4, dtype=torch.float32)
    with pytest.raises(ValueError, match=r"auxiliary label 6 is out of range: there are 6 auxiliary classes"):
        fit(module, DataLoader(TensorDataset(x, y, torch.full((4,), 6)), batch_size=4), 1)
    with pytest.raises(ValueError, match="target must be class indices"):
        fit(module, DataLoader(TensorDataset(x, y, torch.rand(4, 5)), batch_size=4), 1)


def test_a_batch_of_another_form():
    class Dictionaries(MAXLModule):
        def unpack_batch(self, batch):
            return batch["image"], batch["label"], None

    x, y, _ = cases.batch(dtype=torch.float32)
    loader = DataLoader([{"image": a, "label": b} for a, b in zip(x, y, strict=True)], batch_size=3)
    with pytest.raises(ValueError, match=r"got dict: override unpack_batch\(\)"):
        fit(MAXLModule(*networks()), loader, 1)
    fit(Dictionaries(*networks()), loader, 1)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"gradient_clip_val": 0.5}, r"set gradient_clip_val=0\.5 on the model"),
        ({"accumulate_grad_batches": 2}, r"set accumulate_grad_batches=2 on the model"),
    ],
)
def test_trainer_flags(flags, message):
    with pytest.raises(MisconfigurationException, match=message):
        fit(maxl("smooth", dtype=torch.float32), data(dtype=torch.float32), 1, **flags)


def test_loss_scaling():
    from lightning.pytorch.plugins import MixedPrecision

    scaled = MixedPrecision("16-mixed", "cpu", scaler=torch.amp.GradScaler("cpu"))
    with pytest.raises(MisconfigurationException, match=r"use 'bf16-mixed' or '32-true'"):
        fit(maxl("smooth", dtype=torch.float32), data(dtype=torch.float32), 1, plugins=[scaled])


def test_alternating_is_validated_after_both_passes():
    module, loader = maxl("smooth", update="alternating"), data()
    with pytest.raises(MisconfigurationException, match=r"check_val_every_n_epoch=2"):
        fit(module, loader, 2, val=loader)
    fit(module, loader, 2, val=loader, check_val_every_n_epoch=2)


@pytest.mark.parametrize("strategy", [FSDPStrategy, DeepSpeedStrategy])
def test_sharding_strategies_are_refused(strategy):
    with pytest.raises(MisconfigurationException, match=r"is not supported.*19685.*strategy='ddp'"):
        check_strategy(strategy.__new__(strategy))  # neither can be made without its accelerator or package


@pytest.mark.parametrize("strategy", [SingleDeviceStrategy, DDPStrategy])
def test_other_strategies_are_accepted(strategy):
    check_strategy(strategy.__new__(strategy))


def test_an_optimizer_without_a_derivative_is_refused_before_the_first_batch():
    module = maxl("smooth", optimizer=lambda p: torch.optim.LBFGS(p))
    seen = []
    module.network.register_forward_hook(lambda *_: seen.append(1))
    with pytest.raises(ValueError, match=r"LBFGS.*lookahead='sgd'"):
        fit(module, data(), 1)
    assert not seen
