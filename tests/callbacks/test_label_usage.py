"""Label usage against its definition, and both warnings."""

import math
import warnings

import numpy as np
import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from matplotlib.figure import Figure
from watching import PSI, FixedGenerator, Shades, maxl, watch

from maxl_lightning import MultiTaskModule, MultiTaskNetwork
from maxl_lightning.callbacks import LabelUsage
from maxl_lightning.callbacks.auxiliary import soft_labels
from maxl_lightning.callbacks.label_usage import measure_usage

LOW = torch.tensor([9.0, 0, 0, 9, 9, 0])
HIGH = torch.tensor([0.0, 9, 0, 9, 0, 9])
LABELS = {
    "collapsed": lambda b: LOW.expand(len(b), 6),
    "uniform": lambda b: 0.01 * LOW.expand(len(b), 6),
    "healthy": lambda b: torch.where(b > 0.5, HIGH, LOW),
    "constant but soft": lambda b: (0.2 * LOW).expand(len(b), 6),
}


def usage_of(labels, epochs=3, psi=PSI, **options):
    """Fit beside labels that stay as they are; return the callback and what was warned of."""
    callback = LabelUsage(**{"patience": 3, "num_images": 30, "every_n_epochs": 99, **options})
    callback.draw = lambda epoch: Figure(figsize=(1, 1))
    module = maxl(3, PSI, generator=FixedGenerator(LABELS[labels])) if isinstance(labels, str) else labels
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        watch([callback], module, Shades(30), epochs)
    messages = [str(w.message) for w in caught]
    return callback, [m for m in messages if m.startswith(("the generated labels", "LabelUsage"))]


def test_collapse_is_warned_of_once():
    _, (message,) = usage_of("collapsed", epochs=5)
    assert "collapsed" in message
    assert "images of 0, 2 have had" in message  # class 1 is not split
    assert "entropy_weight" in message


def test_uniform_labels_are_warned_of_once():
    _, (message,) = usage_of("uniform", epochs=5)
    assert "stay uniform: for 3 measurements" in message
    assert "99.9%" in message or "100.0%" in message
    assert "meta_optimizer" in message


def test_labels_that_are_the_same_for_all_images_are_collapsed_however_soft():
    _, (message,) = usage_of("constant but soft")
    assert "collapsed" in message


def test_healthy_labels_are_not_warned_of():
    callback, messages = usage_of("healthy", epochs=4)
    assert not messages
    assert callback.history[4]["train/classes_used_min"] > 1.9


@pytest.mark.parametrize("labels", ["collapsed", "uniform"])
def test_patience_is_kept(labels):
    assert not usage_of(labels, epochs=2)[1]
    assert usage_of(labels, epochs=2, patience=2)[1]


def test_thresholds_are_arguments():
    assert not usage_of("collapsed", collapse_threshold=1.0)[1]
    assert "collapsed" in usage_of("healthy", collapse_threshold=2.5)[1][0]
    assert "uniform" in usage_of("healthy", uniform_threshold=0.001)[1][0]


@pytest.mark.parametrize("labels", ["collapsed", "uniform"])
def test_a_frozen_generator_is_not_warned_of(labels):
    """It does not learn, so nothing of what the warning advises would help."""
    frozen = maxl(3, PSI, generator=FixedGenerator(LABELS[labels]), meta_optimizer=None)
    assert not usage_of(frozen)[1]


def test_classes_that_are_not_split_say_nothing():
    callback, messages = usage_of(maxl(3, (1, 1, 1)))
    assert not messages
    assert not callback.history


def test_too_few_images_say_nothing_but_that():
    callback, (message,) = usage_of("collapsed", num_images=9)
    assert "too few images to tell: it looks at 9" in message
    assert not callback.history


def test_usage_by_definition():
    generator = torch.Generator().manual_seed(0)
    y = torch.tensor([0] * 8 + [1] * 3 + [2] * 5)
    z = torch.zeros(16, 6)
    for i, block in enumerate([slice(0, 3)] * 8 + [slice(3, 4)] * 3 + [slice(4, 6)] * 5):
        z[i, block] = torch.rand(block.stop - block.start, generator=generator).softmax(0)
    first, second, third = measure_usage(y, z, PSI)
    block = z[:8, :3].double().numpy()
    counts = np.bincount(block.argmax(1), minlength=3) / 8
    assert first.top.tolist() == pytest.approx(counts.tolist())
    assert first.mean.tolist() == pytest.approx(block.mean(0).tolist())
    entropy = -sum(p * math.log(p) for p in counts if p)
    assert first.effective == pytest.approx(math.exp(entropy))
    assert first.image_entropy == pytest.approx(-(block * np.log(block)).sum(1).mean() / math.log(3), abs=1e-6)
    assert first.mean_entropy == pytest.approx(-(block.mean(0) * np.log(block.mean(0))).sum() / math.log(3), abs=1e-6)
    assert (first.num_images, second.num_images, third.num_images) == (8, 3, 5)
    assert [usage.tells for usage in (first, second, third)] == [True, False, True]


def test_classes_without_images_are_left_out():
    usages = measure_usage(torch.tensor([2, 2]), torch.tensor([[0.0, 0, 0, 0, 1, 0]] * 2), PSI)
    assert [usage.primary for usage in usages] == [2]


def test_numbers_are_means_over_primary_classes():
    callback, _ = usage_of("healthy", epochs=1)
    numbers, usages = callback.history[1], [callback.usages[0], callback.usages[2]]
    assert numbers["train/classes_used_mean"] == pytest.approx(sum(u.effective for u in usages) / 2)
    assert numbers["train/classes_used_min"] == pytest.approx(min(u.effective for u in usages))
    assert numbers["train/relative_label_entropy"] == pytest.approx(sum(u.mean_entropy for u in usages) / 2)
    assert numbers["train/relative_image_label_entropy"] == pytest.approx(sum(u.image_entropy for u in usages) / 2)


def test_given_labels_are_looked_at_too():
    class Triples(Shades):
        def __getitem__(self, index):
            image, primary = super().__getitem__(index)
            return image, primary, (0, 3, 5)[primary]

    callback = LabelUsage(num_images=30)
    module = MultiTaskModule(MultiTaskNetwork(3, PSI, maxl(3, PSI).network.trunk))
    watch([callback], module, Triples())
    assert [usage.top.tolist() for usage in callback.usages] == [[1, 0, 0], [1], [0, 1]]


def test_the_picture_shows_both_heat_maps():
    callback, _ = usage_of("healthy", epochs=1)
    del callback.draw
    axes = callback.draw(1).axes
    top = axes[0].images[0].get_array()
    assert top.shape == (3, 3)
    assert np.isnan(top.filled(np.nan)[1, 1:]).all()  # the block of class 1 ends
    assert top[0, 0] + top[0, 1] == pytest.approx(1)
    assert [text.get_text() for text in axes[0].texts if text.get_position()[1] == 1] == ["100%"]


@pytest.mark.parametrize(
    ("argument", "value"), [("collapse_threshold", 0.5), ("uniform_threshold", 1.5), ("patience", 0)]
)
def test_thresholds_that_make_no_sense_are_refused(argument, value):
    with pytest.raises(ValueError, match=f"{argument} is {value}"):
        LabelUsage(**{argument: value})


def test_modules_without_labels_are_refused():
    module = maxl()
    module.auxiliary_labels = lambda batch: None
    with pytest.raises(MisconfigurationException, match="has no auxiliary labels"):
        soft_labels(module, None)
