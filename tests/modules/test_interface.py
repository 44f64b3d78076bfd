"""What other projects call: hypergradient, predict_step, classifier, schedulers, logs and precisions."""

import cases
import pytest
import torch
import unrolled
from lightning.pytorch import Callback
from lightning.pytorch.cli import ReduceLROnPlateau
from lightning.pytorch.loggers import CSVLogger
from torch.optim.lr_scheduler import LinearLR, StepLR
from training import SGD1, assert_same, data, fit, maxl, state, trainer

LOGGED = {
    "train/primary_loss", "train/auxiliary_loss", "train/meta_loss", "train/label_entropy",
    "train/image_label_entropy", "train/label_confidence", "train/auxiliary_classes_in_use", "train/gradient_norm",
    "train/meta_gradient_norm", "train/learning_rate", "train/meta_learning_rate", "train/accuracy",
}  # fmt: skip


@pytest.mark.parametrize("outer", [False, True])
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_hypergradient_before_fit(outer, mode):
    module = maxl("convnet4")
    with torch.no_grad():  # running statistics that differ from a batch's
        fit(module, data(), 1)
    module.trainer = None
    getattr(module, mode)()
    batch, outer_batch = cases.batch()[:2], cases.batch(n=5, seed=7)[:2] if outer else None
    before, modes = state(module), [m.training for m in module.modules()]
    gradient = module.hypergradient(batch, outer_batch)
    optimizer = torch.optim.SGD(module.network.parameters(), **SGD1)
    expected = unrolled.hypergradient(module.network, module.label_generator, optimizer, batch, outer_batch=outer_batch)
    assert list(gradient) == [n for n, _ in module.label_generator.named_parameters()]
    assert not any(g.requires_grad for g in gradient.values())
    assert cases.distance(gradient, expected) < 1e-9
    assert_same(state(module), before)
    assert [m.training for m in module.modules()] == modes


def test_hypergradient_uses_the_optimizer_in_force():
    """In training the momentum buffer and the current rate count; the step's own gradient is the same."""
    seen = []

    class Watch(Callback):
        def on_train_batch_start(self, trainer, module, batch, batch_idx):
            module.label_generator.train()
            expected = unrolled.hypergradient(
                module.network, module.label_generator, trainer.optimizers[0], batch
            )  # fmt: skip
            seen.append((module.hypergradient(batch), expected))
            module.label_generator.eval()

        def on_before_optimizer_step(self, trainer, module, optimizer):
            if optimizer is trainer.optimizers[1]:
                seen[-1] += ({n: p.grad.clone() for n, p in module.label_generator.named_parameters()},)

    fit(maxl("smooth", lr_scheduler=lambda o: StepLR(o, 1, 0.5)), data(), 2, callbacks=[Watch()])
    assert len(seen) == 4
    for gradient, expected, taken in seen:
        assert cases.distance(gradient, expected) < 1e-10
        assert cases.distance(taken, expected) < 1e-10


def test_frozen_parameters_have_no_hypergradient():
    module = maxl("smooth")
    module.label_generator.trunk.requires_grad_(False)
    gradient = module.hypergradient(cases.batch()[:2])
    assert set(gradient) == {n for n, p in module.label_generator.named_parameters() if p.requires_grad}
    assert all("head" in n for n in gradient)


def test_predictions():
    module = maxl("convnet4", dtype=torch.float32)
    (prediction,) = trainer().predict(module, data(n=6, dtype=torch.float32))
    x, y, _ = cases.batch(n=6, dtype=torch.float32)
    assert prediction["probabilities"].shape == (6, 3)
    assert torch.allclose(prediction["probabilities"].sum(1), torch.ones(6))
    labels = prediction["auxiliary_labels"]
    assert torch.allclose(labels.sum(1), torch.ones(6))
    blocks = torch.tensor([[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 1, 1]]).bool()
    assert (labels[~blocks[y]] == 0).all()
    module.eval()
    assert torch.allclose(module.classifier()(x).softmax(1), prediction["probabilities"])


def test_logged_values(tmp_path):
    import csv

    logger = CSVLogger(tmp_path)
    fit(maxl("smooth"), data(), 2, val=data(), logger=logger, log_every_n_steps=1)
    with open(logger.log_dir + "/metrics.csv") as file:
        rows = list(csv.DictReader(file))
    assert set(rows[0]) >= LOGGED | {"val/accuracy", "val/primary_loss"}
    first = next(row for row in rows if row["train/primary_loss"])
    network, generator, _ = cases.networks("smooth")
    x, y, _ = cases.batch(n=12)
    labels = generator(x[:6], y[:6])
    primary, auxiliary = network(x[:6])
    expected = {
        "train/primary_loss": unrolled.focal(primary, y[:6], 2.0).mean(),
        "train/auxiliary_loss": unrolled.focal(auxiliary, labels, 2.0).mean(),
        "train/label_entropy": -unrolled.negative_entropy(labels.mean(0)),
        "train/image_label_entropy": -sum(unrolled.negative_entropy(row) for row in labels) / 6,
        "train/label_confidence": labels.max(1).values.mean(),
        "train/auxiliary_classes_in_use": len(set(labels.argmax(1).tolist())),
        "train/learning_rate": 0.1,
        "train/meta_learning_rate": 0.5,
    }
    for name, value in expected.items():
        assert float(first[name]) == pytest.approx(float(value), rel=1e-5), name


class Rates(Callback):
    def __init__(self):
        self.seen = []

    def on_train_batch_start(self, trainer, module, *_):
        self.seen.append([round(o.param_groups[0]["lr"], 6) for o in trainer.optimizers])


def test_schedulers_step_once_an_epoch():
    rates = Rates()
    module = maxl("smooth", lr_scheduler=lambda o: StepLR(o, 1, 0.5), meta_lr_scheduler=lambda o: StepLR(o, 1, 0.1))
    fit(module, data(), 3, callbacks=[rates])
    assert rates.seen[::2] == rates.seen[1::2] == [[0.1, 0.5], [0.05, 0.05], [0.025, 0.005]]
    assert module.lookahead_lr == pytest.approx(0.0125)


def test_schedulers_step_once_a_pair_of_epochs():
    rates = Rates()
    half = {"lr_scheduler": lambda o: StepLR(o, 1, 0.5), "meta_lr_scheduler": lambda o: StepLR(o, 1, 0.5)}
    fit(maxl("smooth", update="alternating", **half), data(), 4, callbacks=[rates])
    assert rates.seen[::2] == [[0.1, 0.5], [0.1, 0.5], [0.05, 0.25], [0.05, 0.25]]


def test_in_the_alternating_order_a_rate_steps_with_its_own_optimizer():
    rates = Rates()
    each = {"lr_scheduler": lambda o: StepLR(o, 1, 0.5), "meta_lr_scheduler": lambda o: StepLR(o, 1, 0.1)}
    module = maxl("smooth", update="alternating", lr_scheduler_interval="step", **each)
    fit(module, data(), 2, callbacks=[rates])
    assert rates.seen == [[0.1, 0.5], [0.05, 0.5], [0.025, 0.5], [0.025, 0.05]]


def test_hypergradient_within_inference_mode():
    module = maxl("convnet4")
    expected = module.hypergradient(cases.batch()[:2])
    with torch.inference_mode():
        x, y, _ = cases.batch()
        assert x.is_inference()
        assert cases.distance(module.hypergradient((x, y), (x, y)), expected) < 1e-12


def test_schedulers_step_once_a_step():
    rates = Rates()
    warm_up = {"lr_scheduler": lambda o: LinearLR(o, 0.25, total_iters=3), "lr_scheduler_interval": "step"}
    fit(maxl("smooth", accumulate_grad_batches=2, **warm_up), data(n=48), 1, callbacks=[rates])
    assert [r[0] for r in rates.seen] == [0.025, 0.025, 0.05, 0.05, 0.075, 0.075, 0.1, 0.1]


def test_reduce_on_plateau():
    rates = Rates()
    plateau = {"lr_scheduler": lambda o: ReduceLROnPlateau(o, monitor="val/accuracy", mode="min", patience=0)}
    fit(maxl("smooth", **plateau, meta_lr_scheduler=None), data(), 4, val=data(), callbacks=[rates])
    assert rates.seen[-1][0] < 0.1
    from lightning.fabric.utilities.exceptions import MisconfigurationException

    missing = {"lr_scheduler": lambda o: ReduceLROnPlateau(o, monitor="val/nothing")}
    with pytest.raises(MisconfigurationException, match=r"'val/nothing'.*val/accuracy"):
        fit(maxl("smooth", **missing), data(), 1, val=data())


@pytest.mark.parametrize("precision", ["64-true", "bf16-mixed", "bf16-true"])
def test_precisions_train(precision):
    dtype = torch.float64 if precision == "64-true" else torch.float32
    module = maxl("convnet4", dtype=dtype, hypergradient_method="forward")
    before = state(module)
    fit(module, data(dtype=dtype), 2, precision=precision)
    after = state(module)
    assert all(t.isfinite().all() for t in after.values())
    assert any(not torch.equal(before[n].double(), after[n].double()) for n in after if n.startswith("0.label_gen"))


@pytest.mark.parametrize("meta_autocast", [False, True])
def test_look_ahead_and_tangent_leave_autocast(meta_autocast):
    """In bfloat16 they would make the meta-gradient useless (MATH); the inner pass runs in it like any other."""
    module = maxl("convnet4", dtype=torch.float32, meta_autocast=meta_autocast)
    seen = []
    module.network.auxiliary_head.register_forward_hook(lambda *args: seen.append(args[-1].dtype))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        module.hypergradient(cases.batch(dtype=torch.float32)[:2])
    later = torch.bfloat16 if meta_autocast else torch.float32
    assert seen == [torch.bfloat16, later, later]
