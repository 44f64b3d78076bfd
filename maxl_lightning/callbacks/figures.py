"""Where the callbacks' pictures go: a file beside the run, and every logger that takes images."""

from pathlib import Path

from lightning.pytorch import Trainer
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from matplotlib.figure import Figure
from matplotlib.image import imread

__all__ = ["COLORS", "percent", "publish", "run_folder"]

COLORS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#000000")
"""Okabe and Ito's colours, which the colour-blind can tell apart, without the yellow that white paper swallows."""

DPI = 150


def percent(share: float) -> str:
    """Return a share as a short percentage that tells few from none.

    >>> percent(0.416), percent(0.003), percent(0.0)
    ('42%', '<1%', '0%')
    """
    return "<1%" if 0 < share < 0.005 else f"{share:.0%}"


def publish(trainer: Trainer, figure: Figure, name: str, epoch: int | None = None) -> None:
    """Save a figure as ``figures/<name>_epoch_NNN.png`` beside the run, and hand it to the loggers.

    Call it on the first process only. A run of ``fast_dev_run`` leaves nothing.

    Args:
        trainer: of the run.
        figure: what to save.
        name: of the picture.
        epoch: epochs finished; None leaves the number out of the file's name.
    """
    if getattr(trainer, "fast_dev_run", False):  # set, and not declared
        return
    suffix = "" if epoch is None else f"_epoch_{epoch:03d}"
    path = run_folder(trainer) / "figures" / f"{name}{suffix}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI)
    for logger in trainer.loggers:
        _hand_over(logger, path, name, trainer.global_step)


def run_folder(trainer: Trainer) -> Path:
    """Return the folder of a run, the one that holds its checkpoints.

    ``Trainer.log_dir`` will not do: with W&B it is a folder that all runs share, and it asks all processes.
    """
    if not trainer.loggers:
        return Path(trainer.default_root_dir)
    logger = trainer.loggers[0]
    if isinstance(logger, CSVLogger | TensorBoardLogger):
        return Path(logger.log_dir)
    version = logger.version if isinstance(logger.version, str) else f"version_{logger.version}"
    return Path(logger.save_dir or trainer.default_root_dir, str(logger.name), version)


def _hand_over(logger: Logger, path: Path, name: str, step: int) -> None:
    if isinstance(logger, TensorBoardLogger):
        # its add_figure goes through pyplot
        logger.experiment.add_image(name, imread(path)[..., :3], step, dataformats="HWC")
    elif hasattr(logger, "log_image"):
        logger.log_image(key=name, images=[str(path)], step=step)
