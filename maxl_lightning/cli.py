"""The command line: LightningCLI with the data's classes linked to the model."""

import warnings
from pathlib import Path
from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningDataModule, LightningModule
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI
from lightning_utilities.core.rank_zero import rank_zero_info

import maxl_lightning.callbacks
import maxl_lightning.datamodules
import maxl_lightning.datasets
import maxl_lightning.modules
import maxl_lightning.networks  # noqa: F401 - importing the rooms makes their bare class names known to configs
from maxl_lightning.callbacks import LogConfig

LINKED = ("num_classes", "psi")
"""What flows from the data to the model, where both have it."""


class MAXLCLI(LightningCLI):
    """``fit``, ``validate``, ``test`` and ``predict``; ``fit`` ends with the accuracy on the test images."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Link the number of classes and ψ from the data to the model.

        A data module without these attributes leaves ``model.num_classes`` and ``model.psi`` to the user.
        """
        for name in LINKED:
            parser.link_arguments(f"data.{name}", f"model.init_args.{name}", apply_on="instantiate")
        parser.add_argument(
            "--test_after_fit",
            type=bool,
            default=True,
            help="Whether fit ends with an evaluation on the test images, of the best checkpoint if one is monitored.",
        )

    def after_instantiate_classes(self) -> None:
        """Refuse a ψ or number of classes given to the model that the data overrules."""
        for name in LINKED:
            given = self._get(self.config, f"model.init_args.{name}")
            known = getattr(self.datamodule, name, None)
            if given is None or known is None:
                continue
            if (tuple(given) if isinstance(given, list) else given) not in (known, _single(known)):
                raise MisconfigurationException(
                    f"model.{name}={given} contradicts the data, which has {name}={known}: set data.{name} instead."
                )

    def after_fit(self) -> None:
        """Evaluate on the test images and say where the results lie."""
        if self._get(self.config, "test_after_fit") and not self.trainer.interrupted:
            checkpoint = self.trainer.checkpoint_callback
            best = getattr(checkpoint, "best_model_path", "") if getattr(checkpoint, "monitor", None) else ""
            self.trainer.test(datamodule=self.datamodule, ckpt_path=best or None, weights_only=True)
            accuracy = float(self.trainer.callback_metrics["test/accuracy"])
            rank_zero_info(f"test accuracy: {accuracy:.4f} ({best or 'weights of the last epoch'})")
        if self.trainer.log_dir:
            rank_zero_info(f"results: {Path(self.trainer.log_dir).resolve()}")


def _single(value: Any) -> Any:
    """Return the one number that all entries equal, as ψ may be written, or the value itself."""
    return value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value


def main(args: ArgsType = None, run: bool = True) -> MAXLCLI:
    """Run the command line.

    Args:
        args: what to parse in place of the process's arguments.
        run: whether to run the subcommand; otherwise there is none, and the result has ``.model``,
            ``.datamodule`` and ``.trainer``, ready to use.
    """
    # https://github.com/Lightning-AI/pytorch-lightning/issues/20988: Lightning asks torch's pytree in an old way
    warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
    # torch scripts the forward rules of some of its operators when they are first used
    warnings.filterwarnings("ignore", message=".*torch.jit.script. is deprecated.*", category=FutureWarning)
    return MAXLCLI(
        LightningModule,
        LightningDataModule,
        save_config_callback=LogConfig,
        trainer_defaults={"logger": {"class_path": "CSVLogger", "init_args": {"save_dir": "runs"}}},
        parser_kwargs={"prog": "maxl", "description": "Meta AuXiliary Learning for PyTorch Lightning."},
        subclass_mode_model=True,
        subclass_mode_data=True,
        args=args,
        run=run,
        auto_configure_optimizers=False,
    )
