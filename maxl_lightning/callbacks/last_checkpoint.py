"""A checkpoint to resume from: the last finished epoch."""

from lightning.pytorch.callbacks import ModelCheckpoint

__all__ = ["LastCheckpoint"]


class LastCheckpoint(ModelCheckpoint):
    """Keeps the last finished epoch as ``last.ckpt``, with or without validation data.

    Lightning's ``save_last`` keeps the epoch in which the monitored metric last improved under that name, and without
    a metric waits for a validation that may never come.

    Args:
        dirpath: folder of the checkpoint; ``None`` stands for the run's own.
        every_n_epochs: save after every n-th epoch; 2 in the alternating order saves after θ2's pass.
    """

    def __init__(self, dirpath: str | None = None, every_n_epochs: int = 1) -> None:
        super().__init__(
            dirpath=dirpath,
            filename=self.CHECKPOINT_NAME_LAST,
            every_n_epochs=every_n_epochs,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        )
