"""The training loop against plain PyTorch written out here, and what it leaves in peace."""

import copy
from itertools import pairwise

import cases
import pytest
import torch
import unrolled
from lightning.pytorch import Callback
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from training import SGD1, SGD2, assert_same, data, fit, maxl, state

from maxl_lightning.modules import MAXLModule, MultiTaskModule, SingleTaskModule
from maxl_lightning.networks import Classifier, LabelGenerator, MultiTaskNetwork


def plain_theta1_gradient(network, generator, x, y):
    """The ordinary pass: it updates running statistics, and its gradient is the inner one."""
    with torch.no_grad():
        labels = generator(x, y)
    primary, auxiliary = network(x)
    loss = (unrolled.focal(primary, y, 2.0) + unrolled.focal(auxiliary, labels, 2.0)).mean()
    return torch.autograd.grad(loss, list(network.parameters()))


def assign(module, gradients):
    for p, g in zip(module.parameters(), gradients, strict=True):
        p.grad = g


def plain_loop(network, generator, loader, epochs, alternating, limit=None, gamma=2.0):
    """MAXL as PAPER and the authors' scripts describe it, in two dozen lines of plain PyTorch."""
    network.train(), generator.train()
    theta1 = torch.optim.SGD(network.parameters(), **SGD1)
    theta2 = torch.optim.SGD(generator.parameters(), **SGD2)
    for epoch in range(epochs):
        for x, y in loader:
            step1, step2 = (epoch % 2 == 0, epoch % 2 == 1) if alternating else (True, True)
            if step2:
                meta = unrolled.hypergradient(network, generator, theta1, (x, y), limit=limit)
            inner = plain_theta1_gradient(network, generator, x, y)
            if step1:
                named = dict(zip((n for n, _ in network.named_parameters()), inner, strict=True))
                assign(network, unrolled.clip(named, limit, "norm").values())
                theta1.step()
            if step2:
                assign(generator, meta.values())
                theta2.step()


@pytest.mark.parametrize("limit", [None, 0.05])
@pytest.mark.parametrize("update", ["alternating", "interleaved"])
@pytest.mark.parametrize("trunk", ["convnet4", "smooth"])
def test_weights_and_statistics_equal_a_plain_loop(update, trunk, limit):
    module = maxl(trunk, update=update, gradient_clip_val=limit)
    network, generator = copy.deepcopy(module.network), copy.deepcopy(module.label_generator)
    before = state(network, generator)
    fit(module, data(), epochs=4)
    plain_loop(network, generator, data(), 4, update == "alternating", limit)
    assert_same(state(module.network, module.label_generator), state(network, generator), 1e-11)
    moved = [n for n, t in state(network, generator).items() if not torch.equal(t, before[n])]
    assert any(n.startswith("0.") for n in moved)
    assert any(n.startswith("1.") for n in moved)


def test_alternating_moves_one_network_an_epoch():
    seen = []

    class Watch(Callback):
        def on_train_epoch_end(self, trainer, module):
            seen.append([state_of(module.network), state_of(module.label_generator)])

    def state_of(module):
        return torch.cat([p.detach().flatten() for p in module.parameters()])

    module = maxl("smooth", update="alternating")
    seen.append([state_of(module.network), state_of(module.label_generator)])
    trainer = fit(module, data(), epochs=4, callbacks=[Watch()])
    changed = [[not torch.equal(a, b) for a, b in zip(*pair, strict=True)] for pair in pairwise(seen)]
    assert changed == [[True, False], [False, True], [True, False], [False, True]]
    assert trainer.global_step == 8


@pytest.mark.parametrize("method", ["forward", "double_backward", "finite_difference"])
def test_running_statistics_change_once_a_batch(method):
    module = maxl("convnet4", dtype=torch.float32, hypergradient_method=method, rerun_generator=True)
    fit(module, data(dtype=torch.float32), epochs=3)
    tracked = [b for n, b in module.named_buffers() if n.endswith("num_batches_tracked")]
    assert tracked
    assert all(b == 6 for b in tracked)


@pytest.mark.parametrize("options", [{}, {"update": "alternating"}, {"gradient_clip_val": 0.05}])
def test_two_micro_batches_equal_one_batch(options):
    one, two = maxl("smooth", **options), maxl("smooth", accumulate_grad_batches=2, **options)
    trainers = fit(one, data(n=16, batch_size=8), 4), fit(two, data(n=16, batch_size=4), 4)
    assert_same(state(one), state(two), 1e-12)
    assert [t.global_step for t in trainers] == [8, 8]


def test_an_incomplete_window_is_weighted_by_its_images():
    """Ten images as 4 + 4 and 2: the last window holds one short batch."""
    one, two = maxl("smooth"), maxl("smooth", accumulate_grad_batches=2)
    fit(one, data(n=10, batch_size=8), 2), fit(two, data(n=10, batch_size=4), 2)
    assert_same(state(one), state(two), 1e-12)


def test_meta_every_n_steps():
    module = maxl("smooth", meta_every_n_steps=2)
    seen = []

    class Watch(Callback):
        def on_train_batch_end(self, trainer, module, *_):
            seen.append(next(module.label_generator.parameters()).detach().clone())

    start = next(module.label_generator.parameters()).detach().clone()
    trainer = fit(module, data(n=24), 1, callbacks=[Watch()])
    assert [not torch.equal(a, b) for a, b in zip([start, *seen], seen, strict=False)] == [True, False, True, False]
    assert trainer.global_step == 4


def test_max_steps_counts_batches():
    assert fit(maxl("smooth"), data(n=24), epochs=-1, max_steps=6).global_step == 6


def test_frozen_generator_is_never_changed():
    module = maxl("smooth", meta_optimizer=None)
    before = state(module.label_generator)
    trainer = fit(module, data(), 2)
    assert_same(state(module.label_generator), before)
    assert len(trainer.optimizers) == 1
    assert trainer.global_step == 4


def test_generator_leaves_evaluation_mode_only_within_a_step():
    modes = []

    class Watch(Callback):
        def on_train_batch_start(self, trainer, module, *_):
            modes.append(module.label_generator.training)

        on_train_batch_end = on_train_epoch_end = on_validation_epoch_end = on_train_batch_start

    module = maxl("convnet4", dtype=torch.float32)
    within = []
    module.label_generator.register_forward_hook(lambda m, *_: within.append(m.training))
    assert not module.label_generator.training
    fit(module, data(dtype=torch.float32), 2, val=data(dtype=torch.float32), callbacks=[Watch()])
    assert not any(modes)
    assert within
    assert all(within)
    assert module.network.training


def test_uniform_labels_are_multi_task_training():
    """The multi-task loop against plain PyTorch, with soft labels from the data."""
    network, _, _ = cases.networks("convnet4")
    module = MultiTaskModule(copy.deepcopy(network), optimizer=lambda p: torch.optim.SGD(p, **SGD1), lr_scheduler=None)
    fit(module, data(auxiliary=True), 2)
    optimizer = torch.optim.SGD(network.parameters(), **SGD1)
    for _ in range(2):
        for x, y, labels in data(auxiliary=True):
            primary, auxiliary = network(x)
            loss = (unrolled.focal(primary, y, 2.0) + unrolled.focal(auxiliary, labels, 2.0)).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert_same(state(module.network), state(network), 1e-12)


def test_class_indices_are_one_hot_soft_labels():
    network, _, _ = cases.networks("smooth")
    index = torch.randint(sum(cases.PSI), (12,), generator=torch.Generator().manual_seed(0))
    x, y, _ = cases.batch(n=12)
    modules = []
    for labels in (index, torch.eye(sum(cases.PSI), dtype=torch.float64)[index]):
        module = MultiTaskModule(copy.deepcopy(network), lr_scheduler=None)
        fit(module, DataLoader(TensorDataset(x, y, labels), batch_size=6), 2)
        modules.append(module)
    assert_same(*(state(m) for m in modules), 1e-12)


def test_single_task_ignores_a_third_entry():
    torch.manual_seed(0)
    network = Classifier(3, cases.SmoothTrunk()).double()
    modules = [SingleTaskModule(copy.deepcopy(network), lr_scheduler=None) for _ in range(2)]
    fit(modules[0], data(), 2), fit(modules[1], data(auxiliary=True), 2)
    assert_same(*(state(m) for m in modules))


@pytest.mark.parametrize("update", ["interleaved", "alternating"])
def test_losses_fall_and_the_meta_loss_reacts(update):
    values = {"train/primary_loss": [], "train/meta_loss": []}

    class Watch(Callback):
        def on_train_batch_end(self, trainer, module, *_):
            for name, seen in values.items():
                if name in trainer.callback_metrics:
                    seen.append(float(trainer.callback_metrics[name]))

    every = {"check_val_every_n_epoch": 2} if update == "alternating" else {}
    fit(maxl("smooth", update=update), data(n=24), 40, callbacks=[Watch()], **every)
    for seen in values.values():
        assert seen[-1] < seen[0]


def test_reduced_gradient_is_weighted(monkeypatch):
    """The collective: one all-reduce a type, weights by images."""
    module = maxl("smooth")
    module._trainer = type("Trainer", (), {"world_size": 2})()
    other = {torch.float64: torch.tensor([5.0, 7.0, 3.0], dtype=torch.float64) * 3}
    calls = []

    def all_reduce(flat):
        calls.append(flat.dtype)
        theirs = other[flat.dtype].clone()
        theirs[-1] = 3
        flat += theirs

    monkeypatch.setattr(torch.distributed, "all_reduce", all_reduce)
    ours = [torch.tensor([1.0], dtype=torch.float64), torch.tensor(2.0, dtype=torch.float64)]
    a, b = module.reduce(ours, 1)
    assert calls == [torch.float64]
    assert float(a) == pytest.approx((1 + 15) / 4)
    assert float(b) == pytest.approx((2 + 21) / 4)
    assert b.shape == ()


def test_any_module_can_be_a_trunk_or_a_network():
    """A foreign network and generator, without the attributes ours have."""

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(192, 3), nn.Linear(192, 6)

        def forward(self, x):
            return self.a(x.flatten(1)), self.b(x.flatten(1))

    generator = LabelGenerator(3, cases.PSI, nn.Sequential(nn.Flatten(), nn.Linear(192, 4)), feature_width=4)
    module = MAXLModule(Network(), generator)
    assert module.num_classes == 3
    assert module.psi == cases.PSI
    fit(module, data(dtype=torch.float32), 2)
    assert module.classifier()(torch.randn(2, 3, 8, 8)).shape == (2, 3)


def test_factories_are_called_with_classes_and_psi():
    from functools import partial

    module = MAXLModule(
        partial(MultiTaskNetwork, trunk=cases.SmoothTrunk()),
        partial(LabelGenerator, trunk=cases.SmoothTrunk()),
        num_classes=3,
        psi=2,
    )
    assert module.network.psi == module.label_generator.psi == module.psi == (2, 2, 2)
