"""What Lightning's loop gets from the loaders: order, augmentation and resuming."""

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from numbered import NumberedDataModule, Scribe, fitted, numbers

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*across ranks is zero"),  # the empty list of validation loaders
    pytest.mark.filterwarnings("ignore:.*callbacks used to create the checkpoint"),
]


def same(one, other):
    """Whether two recordings are of the same epochs and equal to the last pixel."""
    if [epoch for epoch, _ in one] != [epoch for epoch, _ in other]:
        return False
    return all(torch.equal(a, b) for (_, a), (_, b) in zip(one, other, strict=True))


@pytest.fixture(scope="module")
def three_epochs():
    return fitted(NumberedDataModule(), max_epochs=3)[0].shown


def test_every_epoch_shows_every_image_once_in_another_order(three_epochs):
    orders = [
        [number for shown_in, images in three_epochs if shown_in == epoch for number in numbers(images)]
        for epoch in range(3)
    ]
    assert all(sorted(order) == list(range(40)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3


def test_every_epoch_crops_an_image_anew(three_epochs):
    def crops(wanted):
        return [image for _, images in three_epochs for image in images if numbers(image[None]) == [wanted]]

    unchanged = [
        torch.equal(*pair) for wanted in range(1, 40) for pair in zip(crops(wanted), crops(wanted)[1:], strict=False)
    ]
    assert sum(unchanged) < len(unchanged) / 3  # 9 places for the crop: a ninth is expected


@pytest.mark.parametrize("num_workers", [1, 2])
def test_workers_change_nothing(three_epochs, num_workers):
    assert same(fitted(NumberedDataModule(num_workers=num_workers), max_epochs=3)[0].shown, three_epochs)


def test_another_seed_changes_order_and_crops(three_epochs):
    assert not same(fitted(NumberedDataModule(seed=1), max_epochs=3)[0].shown, three_epochs)


def test_training_on_a_disturbed_generator_changes_nothing(three_epochs):
    torch.manual_seed(12345)
    assert same(fitted(NumberedDataModule(), max_epochs=3)[0].shown, three_epochs)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_iterating_never_moves_the_global_generator(num_workers):
    datamodule = NumberedDataModule(num_workers=num_workers, val_fraction=0.5)
    datamodule.setup()
    before = torch.get_rng_state()
    for loader in (datamodule.train_dataloader(), datamodule.val_dataloader(), datamodule.test_dataloader()):
        assert len(list(loader)) == len(loader)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("val_fraction", [0.0, 0.2])
@pytest.mark.parametrize("step", [4, 5, 7, 10])
def test_a_resumed_run_shows_what_the_whole_run_shows(tmp_path, num_workers, val_fraction, step):
    """With 40 images in batches of 8 (32 and 4 batches with validation), steps are mid-epoch or at an epoch's end."""

    def datamodule():
        return NumberedDataModule(num_workers=num_workers, val_fraction=val_fraction)

    checkpoint = ModelCheckpoint(tmp_path, save_top_k=-1, every_n_train_steps=step, filename="{step}")
    whole, _ = fitted(datamodule(), 3, callbacks=[checkpoint], enable_checkpointing=True)
    resumed, _ = fitted(datamodule(), 3, ckpt_path=tmp_path / f"step={step}.ckpt")
    assert same(resumed.shown, whole.shown[step:])


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("val_fraction", [0.0, 0.2])
@pytest.mark.parametrize("flags", [{}, {"limit_train_batches": 3}])
def test_a_run_resumed_from_an_epochs_end_shows_what_the_whole_run_shows(tmp_path, num_workers, val_fraction, flags):
    """Validation saves before the epoch counts as over, training alone after that."""

    def datamodule():
        return NumberedDataModule(num_workers=num_workers, val_fraction=val_fraction)

    checkpoint = ModelCheckpoint(tmp_path, save_top_k=-1, filename="{epoch}")
    whole, _ = fitted(datamodule(), 4, callbacks=[checkpoint], enable_checkpointing=True, **flags)
    resumed, _ = fitted(datamodule(), 4, ckpt_path=tmp_path / "epoch=1.ckpt", **flags)
    assert same(resumed.shown, [entry for entry in whole.shown if entry[0] > 1])


def test_overfitting_on_fixed_batches_still_works():
    with pytest.warns(UserWarning, match="turning off the train dataloader shuffling"):
        recorder, _ = fitted(NumberedDataModule(), 2, overfit_batches=1)
    assert [numbers(images) for _, images in recorder.shown] == [list(range(8))] * 2


def test_two_processes_partition_every_epoch(tmp_path):
    # forked: the processes inherit what is imported
    fitted(NumberedDataModule(), 2, recorder=Scribe(tmp_path), strategy="ddp_fork", devices=2)
    ranks = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    for epoch in range(2):
        shown = [[n for e, images in rank if e == epoch for n in images] for rank in ranks]
        assert [len(images) for images in shown] == [20, 20]
        assert sorted(shown[0] + shown[1]) == list(range(40))
    assert ranks[0][0] != ranks[0][-1]
