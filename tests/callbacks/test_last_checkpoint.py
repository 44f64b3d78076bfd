"""The last finished epoch is kept, with and without validation, and a run goes on from it."""

import pytest
import torch
from lightning.pytorch.callbacks import LambdaCallback, ModelCheckpoint
from training import assert_same, data, fit, maxl, state

from maxl_lightning.callbacks import LastCheckpoint


class Stopped(Exception):
    pass


def kept(folder):
    return torch.load(folder / "last.ckpt", weights_only=True)


@pytest.mark.parametrize("every", [1, 2, 3])
@pytest.mark.parametrize("val", [True, False])
def test_every_epoch_is_kept_whenever_validation_is(tmp_path, every, val):
    options = {"check_val_every_n_epoch": every, "enable_checkpointing": True}
    module = maxl()
    fit(module, data(), 4, val=data(seed=3) if val else None, callbacks=[LastCheckpoint(str(tmp_path))], **options)
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]
    assert kept(tmp_path)["epoch"] == 3
    assert_same(kept(tmp_path)["state_dict"], module.state_dict())


def test_lightnings_own_would_keep_nothing(tmp_path):
    """Why there is this class: without validation data, ``save_last`` waits for the end of training."""

    def stop(trainer, pl_module):
        if trainer.current_epoch == 3:
            raise Stopped

    options = {"check_val_every_n_epoch": 2, "enable_checkpointing": True}
    for callback, names in (
        (ModelCheckpoint(str(tmp_path), save_last=True), []),
        (LastCheckpoint(str(tmp_path)), ["last.ckpt"]),
    ):
        with pytest.raises(Stopped):
            fit(maxl(), data(), 4, callbacks=[callback, LambdaCallback(on_train_epoch_start=stop)], **options)
        assert [path.name for path in tmp_path.iterdir()] == names


def test_after_the_pass_of_the_generator(tmp_path):
    """Three passes leave a pair unfinished."""
    callback = LastCheckpoint(str(tmp_path), every_n_epochs=2)
    fit(maxl(update="alternating"), data(), 3, callbacks=[callback], enable_checkpointing=True)
    assert kept(tmp_path)["epoch"] == 1


def test_it_gets_on_with_other_checkpoints(tmp_path):
    best = {"monitor": "val/accuracy", "mode": "max", "filename": "best"}
    callbacks = [ModelCheckpoint(str(tmp_path), **best), ModelCheckpoint(str(tmp_path), filename="plain"),
                 LastCheckpoint(str(tmp_path))]  # fmt: skip
    fit(maxl(), data(), 3, val=data(seed=3), callbacks=callbacks, enable_checkpointing=True)
    assert {path.name for path in tmp_path.iterdir()} == {"best.ckpt", "plain.ckpt", "last.ckpt"}
    assert len([key for key in kept(tmp_path)["callbacks"] if "Checkpoint" in key]) == 3


@pytest.mark.parametrize("update", ["interleaved", "alternating"])
def test_a_run_that_goes_on_equals_one_that_never_stopped(tmp_path, update):
    """Stopped in the middle of an epoch, from which nothing is kept."""
    whole, stopped, resumed = (maxl("dropout", update=update) for _ in range(3))
    torch.manual_seed(2)
    fit(whole, data(shuffle=True), 6)

    def stop():
        if stopped.current_epoch == 4:
            raise Stopped

    stopped.on_train_batch_end = lambda *_: stop()
    torch.manual_seed(2)
    every = 2 if update == "alternating" else 1
    with pytest.raises(Stopped):
        fit(stopped, data(shuffle=True), 6, callbacks=[LastCheckpoint(str(tmp_path), every)], enable_checkpointing=True)
    assert kept(tmp_path)["epoch"] == 3
    torch.manual_seed(7)
    fit(resumed, data(shuffle=True), 6, ckpt_path=tmp_path / "last.ckpt")
    assert_same(state(whole), state(resumed))
