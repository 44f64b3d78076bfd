"""The confusion matrix against a loop over the images."""

from pathlib import Path

import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from training import trainer
from watching import digits, maxl, watch

from maxl_lightning.callbacks import ConfusionMatrix
from maxl_lightning.callbacks.confusion_matrix import draw_confusion


def counted(module, data):
    counts = torch.zeros(2, 2, dtype=torch.int64)
    module.eval()
    for image, primary in data:
        counts[primary, int(module(image[None]).argmax())] += 1
    return counts


def written(folder):
    return sorted(path.name for path in Path(folder, "figures").glob("*"))


def test_it_counts_every_validation_and_test_image(tmp_path):
    data, module, callback = digits(), maxl(), ConfusionMatrix(every_n_epochs=2)
    made = watch([callback], module, data, epochs=3, folder=tmp_path)
    assert callback.counts["val"].sum() == len(data.val_set) == 300
    assert torch.equal(callback.counts["val"], counted(module, data.val_set))
    names = [f"confusion_matrix_val_epoch_00{epoch}.png" for epoch in (2, 3)]
    assert written(made.log_dir) == names
    made.test(module, datamodule=data, verbose=False)
    assert torch.equal(callback.counts["test"], counted(module, data.test_set))
    made.validate(module, datamodule=data, verbose=False)
    assert written(made.log_dir) == ["confusion_matrix_test.png", "confusion_matrix_val.png", *names]


@pytest.mark.parametrize(
    ("options", "epochs", "pictures"),
    [
        ({"check_val_every_n_epoch": 2}, 5, [4]),  # the first validation after the third epoch; none comes later
        ({"check_val_every_n_epoch": 1}, 4, [3, 4]),
        ({"check_val_every_n_epoch": 2, "update": "alternating"}, 8, [3, 4]),  # four pairs of passes
        ({"limit_val_batches": 0}, 3, []),
    ],
)
def test_when_it_is_drawn(tmp_path, options, epochs, pictures):
    options = dict(options)
    module = maxl(update=options.pop("update", "interleaved"))
    made = watch([ConfusionMatrix(every_n_epochs=3)], module, epochs=epochs, folder=tmp_path, **options)
    assert written(made.log_dir) == [f"confusion_matrix_val_epoch_{epoch:03d}.png" for epoch in pictures]


def test_the_picture_shows_shares_of_the_true_class():
    counts = torch.tensor([[8, 2], [0, 0]])  # no image of the second class
    axes = draw_confusion(counts, ["a", "b"], "test images").axes[0]
    assert axes.images[0].get_array().flatten().tolist() == pytest.approx([0.8, 0.2, 0, 0])
    assert [text.get_text() for text in axes.texts] == ["80%", "20%", "", ""]
    assert axes.get_title() == "Test images: accuracy 80.0%"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]


def test_many_classes_have_colours_without_numbers():
    axes = draw_confusion(torch.eye(30, dtype=torch.int64), [f"class {i}" for i in range(30)], "x").axes[0]
    assert not axes.texts
    assert axes.get_xticklabels()[0].get_rotation() == 90


def test_steps_that_return_nothing_are_refused():
    module = maxl()
    module.validation_step = lambda batch, batch_idx: None
    with pytest.raises(MisconfigurationException, match="return the logits there"):
        watch([ConfusionMatrix()], module)


def test_arguments_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="every_n_epochs is 0"):
        ConfusionMatrix(every_n_epochs=0)
    module = maxl()
    with pytest.raises(ValueError, match="class_names has 3 names"):
        trainer(1, [ConfusionMatrix(class_names=["a", "b", "c"])]).validate(module, datamodule=digits())
