"""What the callbacks have in common: when they look, at what, and that training does not notice."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningModule, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from matplotlib import pyplot
from matplotlib.figure import Figure
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset
from training import assert_same, fit, state, trainer
from watching import Shades, digits, maxl, watch

from maxl_lightning import Classifier, ConvNet4, SingleTaskModule
from maxl_lightning.callbacks import (
    ConfusionMatrix,
    FeatureMap,
    GradientCosine,
    LabelAgreement,
    LabelGallery,
    LabelUsage,
)
from maxl_lightning.callbacks.curve import Curve
from maxl_lightning.callbacks.picture import Picture
from maxl_lightning.callbacks.sample import Sample, choose_images, find_class_names, known_targets
from maxl_lightning.modules.random_state import collect_random_state

LOOKING = (GradientCosine, LabelUsage, LabelGallery, FeatureMap, LabelAgreement)


class Noisy(Dataset):
    """Images and human labels whose noise is drawn from all the generators that training shares."""

    def __init__(self, size=24):
        self.targets = [i % 2 for i in range(size)]

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, index):
        noise = random.random() + np.random.rand()  # noqa: NPY002 - as users' transforms do
        return torch.randn(1, 8, 8) + noise + self.targets[index], self.targets[index], index % 10


class Probe(Picture):
    """Remembers when it was asked to look and to draw, and what it saw."""

    def __init__(self, **options):
        super().__init__(**options)
        self.looks, self.pictures, self.batches = 0, [], []

    def observe(self, module, batches):
        self.looks += 1
        self.batches.append(list(batches))
        return {"train/looks": float(self.looks)}

    def draw(self, epoch):
        self.pictures.append(epoch)
        return Figure(figsize=(1, 1))


class Weight(Curve):
    """Logs the sum of the first weights."""

    def observe(self, module, batches):
        return {"train/weight": next(module.parameters()).sum().item()}

    def draw(self, epoch):
        return Figure(figsize=(1, 1))


def flat(value):
    """Leaves of nested containers, tensors as they are."""
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in flat(item)]
    if isinstance(value, list | tuple):
        return [leaf for item in value for leaf in flat(item)]
    return [value]


def assert_equal(a, b):
    a, b = flat(a), flat(b)
    assert len(a) == len(b)
    assert all(torch.equal(x, y) if isinstance(x, torch.Tensor) else x == y for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("update", ["interleaved", "alternating"])
def test_training_does_not_notice(tmp_path, update):
    """Every callback at every epoch, on a trunk with batch statistics and dropout, and data that draw at random."""
    runs = []
    for callbacks in ([], [callback(every_n_epochs=3, num_images=20) for callback in LOOKING] + [ConfusionMatrix(3)]):
        module = maxl(update=update, optimizer=lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
                      meta_optimizer=lambda p: torch.optim.Adam(p, lr=0.01))  # fmt: skip
        loader = DataLoader(Noisy(), batch_size=8, shuffle=True)
        seed_everything(0)
        made = fit(module, loader, 4, val=loader, callbacks=callbacks, default_root_dir=tmp_path,
                   check_val_every_n_epoch=2, num_sanity_val_steps=0)  # fmt: skip
        runs.append((state(module), [o.state_dict() for o in made.optimizers], collect_random_state()))
    for one, other in zip(*runs, strict=True):
        assert_equal(one, other)
    last = 4 if update == "interleaved" else 2
    names = {path.name.split("_epoch")[0] for path in Path(tmp_path, "figures").glob(f"*_epoch_00{last}.png")}
    assert len(names) == 6


def test_a_look_leaves_no_trace_at_the_end_of_an_epoch():
    """Flags part by part, gradients, and buffers; some part was in evaluation mode before."""
    seen = []

    class Before(Callback):
        def on_train_epoch_end(self, trainer, module):
            seen.append(({n: m.training for n, m in module.named_modules()}, state(module),
                         {n: p.grad for n, p in module.named_parameters()}))  # fmt: skip

    module = maxl()
    module.network.trunk[0].layers[0].eval()
    callbacks = [Before(), *(callback(every_n_epochs=1, num_images=20) for callback in LOOKING), Before()]
    watch(callbacks, module)
    (flags, weights, gradients), (flags_after, weights_after, gradients_after) = seen
    assert flags == flags_after
    assert False in flags.values()
    assert_same(weights, weights_after)
    assert all(gradients[n] is gradients_after[n] for n in gradients)


@pytest.mark.parametrize(
    ("epochs", "every", "update", "pictures"),
    [
        (5, 2, "interleaved", [2, 4, 5]),
        (4, 2, "interleaved", [2, 4]),
        (1, 10, "interleaved", [1]),
        (6, 2, "alternating", [2, 3]),  # three pairs of passes
        (3, 1, "alternating", [1]),  # the second pair is not finished
    ],
)
def test_when_pictures_are_drawn(epochs, every, update, pictures):
    probe = Probe(every_n_epochs=every, num_images=10)
    watch([probe], maxl(update=update), epochs=epochs, check_val_every_n_epoch=2)
    assert probe.pictures == pictures
    assert probe.looks == len(pictures)


def test_the_last_epoch_is_drawn_when_steps_end_the_run():
    probe = Probe(every_n_epochs=3, num_images=10)
    watch([probe], maxl(), epochs=-1, max_steps=12)  # three steps an epoch
    assert probe.pictures == [3, 4]


def test_files_numbers_and_no_pyplot(tmp_path):
    made = watch([Probe(every_n_epochs=2, num_images=10), Probe(num_images=10, name="mine")], maxl(), epochs=3,
                 folder=tmp_path)  # fmt: skip
    names = sorted(path.name for path in Path(made.log_dir, "figures").iterdir())
    assert names == ["mine_epoch_003.png", "probe_epoch_002.png", "probe_epoch_003.png"]
    assert "train/looks" in Path(made.log_dir, "metrics.csv").read_text()
    assert not pyplot.get_fignums()


def test_a_run_of_fast_dev_run_draws_and_writes_nothing(tmp_path):
    probe = Probe(num_images=10)
    watch([probe], maxl(), folder=tmp_path, fast_dev_run=True)
    assert probe.pictures == [1]
    assert not list(tmp_path.rglob("*.png"))


# The sample


def test_the_sample_is_of_the_training_images_as_evaluation_shows_them():
    data, probe = digits(), Probe(every_n_epochs=1, num_images=20, batch_size=8)
    watch([probe], maxl(), data, epochs=2)
    first, second = probe.batches
    assert [len(batch.y) for batch in first] == [8, 8, 4]
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one.x, other.x)
    shown = {tuple(image.flatten().tolist()) for image, _ in data.train_set}
    assert all(tuple(image.flatten().tolist()) in shown for batch in first for image in batch.x)
    assert torch.cat([batch.y for batch in first]).bincount().tolist() == [10, 10]


def test_auxiliary_labels_of_the_data_module_come_along():
    from maxl_lightning.labels import UniformLabels

    data = digits(auxiliary_labels=UniformLabels())
    data.setup("fit")
    image, primary, label = data.train_dataset(augmented=False)[3]
    assert torch.equal(image, data.train_set[3][0])
    assert primary == data.train_set[3][1]
    assert label.tolist() == pytest.approx([0.2] * 5 + [0.0] * 5 if primary == 0 else [0.0] * 5 + [0.2] * 5)


def test_images_are_chosen_in_equal_numbers():
    targets = torch.tensor([0] * 90 + [1] * 7 + [2] * 3)
    assert targets[choose_images(targets, 100, 15)].bincount().tolist() == [6, 6, 3]
    assert targets[choose_images(targets, 100, 1000)].bincount().tolist() == [90, 7, 3]
    assert targets[choose_images(targets, 100, 6, classes={1, 2})].bincount().tolist() == [0, 3, 3]
    assert len(set(choose_images(None, 100, 15).tolist())) == 15
    assert torch.equal(choose_images(targets, 100, 15), choose_images(targets, 100, 15))
    assert sorted(choose_images(targets, 100, 15).tolist()) != choose_images(targets, 100, 15).tolist()


def test_targets_are_found_behind_a_subset():
    data = Shades(30)
    assert known_targets(Subset(Subset(data, range(10, 20)), [1, 2])).tolist() == [2, 0]
    assert known_targets(TensorDataset(torch.zeros(3))) is None
    data.targets = [{"boxes": 1}] * 30
    assert known_targets(data) is None


def test_large_samples_are_not_kept(monkeypatch):
    class Counting(Shades):
        reads = 0

        def __getitem__(self, index):
            self.reads += 1
            return super().__getitem__(index)

    for limit, reads in ((10**9, 12), (10, 24)):
        monkeypatch.setattr("maxl_lightning.callbacks.sample.KEPT_BYTES", limit)
        data = Counting(12)
        sample = Sample(data, 12, 5)
        assert [len(batch[1]) for batch in sample] == [len(batch[1]) for batch in sample] == [5, 5, 2]
        assert data.reads == reads


def test_a_plain_loader_is_enough():
    """The training loader's own data set, through the loader's collation and the module's unpack_batch."""

    class Dictionaries(Shades):
        def __getitem__(self, index):
            image, label = super().__getitem__(index)
            return {"image": image, "label": label}

    module = maxl(3, (3, 1, 2))
    module.unpack_batch = lambda batch: (batch["image"], batch["label"], None)
    probe = Probe(num_images=9)
    fit(module, DataLoader(Dictionaries(), batch_size=10), 1, callbacks=[probe])
    assert probe.batches[0][0].y.bincount().tolist() == [3, 3, 3]
    assert probe.names == ("0", "1", "2")


def test_a_given_data_set_is_preferred():
    other = Shades(12)
    other.classes = ["a", "b_c"]
    probe = Probe(num_images=30, dataset=other)
    watch([probe], maxl())
    assert len(probe.batches[0][0].y) == 12
    assert probe.names == ("even", "odd")


def test_names_of_classes():
    made, data = trainer(), Shades()
    data.classes = ["a", "b_c", "d"]
    assert find_class_names(None, made, Subset(data, [0]), 3) == ("a", "b c", "d")
    assert find_class_names(["x", "y", "z"], made, data, 3) == ("x", "y", "z")
    assert find_class_names(None, made, data, 4) == ("0", "1", "2", "3")
    with pytest.raises(ValueError, match="class_names has 2 names, but there are 3"):
        find_class_names(["x", "y"], made, data, 3)


# Refusals


class Stream(IterableDataset):
    def __iter__(self):
        yield from (Shades()[i] for i in range(12))


class Theirs(LightningModule):
    pass


@pytest.mark.parametrize("callback", [GradientCosine, LabelUsage, LabelGallery, LabelAgreement])
def test_single_task_is_refused(callback):
    module = SingleTaskModule(Classifier(2, ConvNet4(1, (4, 4, 4, 4))))
    with pytest.raises(MisconfigurationException, match=f"{callback.__name__} .* SingleTaskModule .* MAXLModule"):
        watch([callback()], module)


@pytest.mark.parametrize("callback", [*LOOKING, ConfusionMatrix])
def test_foreign_modules_are_refused(callback):
    with pytest.raises(MisconfigurationException, match=f"{callback.__name__} needs a module of this package"):
        callback().setup(trainer(), Theirs(), "fit")


def test_streams_are_refused_before_the_first_epoch():
    module = maxl(3, (3, 1, 2))
    with pytest.raises(MisconfigurationException, match=r"Stream has no numbered images .* dataset=…"):
        fit(module, DataLoader(Stream(), batch_size=6), 1, callbacks=[LabelGallery()])
    with pytest.raises(MisconfigurationException, match=r"list of training images has no data set"):
        fit(module, [torch.utils.data.default_collate([Shades()[i] for i in range(6)])], 1, callbacks=[LabelGallery()])


@pytest.mark.parametrize("argument", ["every_n_epochs", "num_images", "batch_size", "log_every_n_epochs"])
def test_numbers_that_make_no_sense_are_refused(argument):
    with pytest.raises(ValueError, match=f"{argument} is 0"):
        LabelUsage(**{argument: 0})


# Curves


def test_a_resumed_curve_is_the_uninterrupted_one(tmp_path):
    whole, first, second = Weight(), Weight(), Weight()
    watch([whole], maxl(), epochs=4)
    watch([first, ModelCheckpoint(tmp_path, filename="last")], maxl(), epochs=2, enable_checkpointing=True)
    assert sorted(first.history) == [1, 2]
    made = trainer(4, [second])
    made.fit(maxl(), datamodule=digits(), ckpt_path=tmp_path / "last.ckpt")
    assert second.history == whole.history
    assert sorted(whole.history) == [1, 2, 3, 4]


def test_another_fit_begins_another_curve():
    curve = Weight()
    for epochs in (3, 2):
        watch([curve], maxl(), epochs=epochs)
        assert sorted(curve.history) == list(range(1, epochs + 1))


def test_numbers_are_logged_more_often_than_drawn():
    curve = Weight(log_every_n_epochs=2, every_n_epochs=3)
    watch([curve], maxl(), epochs=7)
    assert sorted(curve.history) == [2, 3, 4, 6, 7]  # 3 for its picture, 7 for being the last
