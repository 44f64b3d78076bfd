"""The full configuration beside every run."""

import json
from itertools import count
from pathlib import Path

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.trainer.states import TrainerFn


class LogConfig(SaveConfigCallback):
    """Hands the full configuration to every logger, as hyperparameters and, where a run has a folder, as a file.

    Lightning's own callback writes ``config.yaml`` into the first logger's save directory, which for W&B is shared
    by all runs. An existing file is never overwritten: a run that goes on in the same folder leaves another one.
    """

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **{**kwargs, "save_to_log_dir": False})  # type: ignore[arg-type]  # passed through

    def save_config(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Log the configuration; called on the first process only."""
        text = self.parser.dump(self.config, skip_none=False)
        config = json.loads(self.parser.dump(self.config, skip_none=False, format="json"))
        name = "config" if stage == TrainerFn.FITTING else f"config_{TrainerFn(stage).value}"
        for logger in trainer.loggers:
            logger.log_hyperparams({"config": config})
            if isinstance(logger, CSVLogger | TensorBoardLogger):
                folder = Path(logger.log_dir)
                folder.mkdir(parents=True, exist_ok=True)
                _unused(folder, name).write_text(text)


def _unused(folder: Path, stem: str) -> Path:
    paths = (folder / f"{stem}{'' if number == 1 else f'_{number}'}.yaml" for number in count(1))
    return next(path for path in paths if not path.exists())
