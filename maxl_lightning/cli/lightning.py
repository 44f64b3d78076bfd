"""``maxl fit | validate | test | predict``: LightningCLI with the data's classes linked to the model."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jsonargparse import Namespace
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI
from lightning.pytorch.utilities.model_helpers import is_overridden
from lightning_utilities.core.rank_zero import rank_zero_info, rank_zero_warn

import maxl_lightning.callbacks
import maxl_lightning.datamodules
import maxl_lightning.datasets
import maxl_lightning.labels
import maxl_lightning.modules
import maxl_lightning.networks  # noqa: F401 - importing the rooms makes their bare class names known to configs
from maxl_lightning.callbacks import LogConfig

DESCRIPTION = (
    "Meta AuXiliary Learning for PyTorch Lightning. Beside the subcommands below there are compare, which trains "
    "methods with several seeds and compares them (maxl compare --help), and labels, which writes the labels that a "
    "network has learned (maxl labels --help)."
)

LINKED = ("num_classes", "psi")
"""What flows from the data to the model, where both have it."""


class MAXLCLI(LightningCLI):
    """``fit``, ``validate``, ``test`` and ``predict``; ``fit`` ends with the accuracy on the test images."""

    def setup_parser(
        self, add_subcommands: bool, main_kwargs: dict[str, Any], subparser_kwargs: dict[str, Any]
    ) -> None:
        """Let a parser without subcommands read what ``fit`` left in a run's folder, too."""
        super().setup_parser(add_subcommands, main_kwargs, subparser_kwargs)
        if not add_subcommands:
            self.parser.add_method_arguments(Trainer, "fit", skip=set(self.subcommands()["fit"]))

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

    def _parse_ckpt_path(self) -> None:
        """Take the checkpoint's hyperparameters in place of the configuration's, as Lightning does, and say so.

        A checkpoint of a module made in Python has no configuration to take: the command line's stays in force.

        Raises:
            MisconfigurationException: if the checkpoint is of another class.
        """
        hyperparameters = self._saved_hyperparameters()
        if "_class_path" not in hyperparameters:
            return
        asked = self._asked("model")
        if asked is not None and _name(asked.class_path) != _name(hyperparameters["_class_path"]):
            raise MisconfigurationException(
                f"the checkpoint {self._asked('ckpt_path')} is of a {_name(hyperparameters['_class_path'])}, but the "
                f"configuration asks for a {_name(asked.class_path)}: use the configuration that it was trained with."
            )
        super()._parse_ckpt_path()
        for name in LINKED:  # Lightning saves what the data would have set, also for a model that does not take it
            (self._asked("model").get("dict_kwargs") or {}).pop(name, None)
        if asked is not None and (overruled := _overruled(asked, self._asked("model"))):
            rank_zero_warn(
                "the model is built with the checkpoint's hyperparameters, and what the configuration says of "
                f"{', '.join(overruled)} is not used: train anew to change it."
            )

    def _saved_hyperparameters(self) -> Mapping[str, Any]:
        path = self._asked("ckpt_path") if self.config.get("subcommand") else None
        if not path or not Path(path).is_file():
            return {}
        saved = torch.load(path, weights_only=True, map_location="cpu", mmap=True)
        hyperparameters: Mapping[str, Any] = saved.get(LightningModule.CHECKPOINT_HYPER_PARAMS_KEY, {})
        return hyperparameters

    def _asked(self, key: str) -> Any:
        return self.config[self.config.subcommand].get(key)

    def instantiate_classes(self) -> None:
        """Instantiate the classes; an error of theirs is shown as they raised it, without jsonargparse's dump."""
        try:
            super().instantiate_classes()
        except ValueError as error:
            cause: BaseException = error
            while str(cause).startswith("Does not validate") and cause.__cause__ is not None:
                cause = cause.__cause__
            if cause is error:
                raise
            raise cause from None

    def after_instantiate_classes(self) -> None:
        """Refuse a ψ or number of classes given to the model that the data overrules."""
        for name in LINKED:
            given = self._get(self.config, f"model.init_args.{name}")
            known = getattr(self.datamodule, name, None)
            if given is None or known is None:
                continue
            if (tuple(given) if isinstance(given, list) else given) in (known, _single(known)):
                continue
            if "_class_path" in self._saved_hyperparameters():
                raise MisconfigurationException(
                    f"the checkpoint was trained with {name}={given}, but the data has {name}={known}: set the data's "
                    f"to the checkpoint's (data.{name}), or train anew."
                )
            raise MisconfigurationException(
                f"model.{name}={given} contradicts the data, which has {name}={known}: set data.{name} instead."
            )

    def after_fit(self) -> None:
        """Evaluate on the test images and say where the results lie."""
        if self._get(self.config, "test_after_fit") and not self.trainer.interrupted and self._can_test():
            checkpoint = self.trainer.checkpoint_callback
            best = getattr(checkpoint, "best_model_path", "") if getattr(checkpoint, "monitor", None) else ""
            # with the model, since Lightning without it would look for a best checkpoint of its own
            self.trainer.test(self.model, datamodule=self.datamodule, ckpt_path=best or None, weights_only=True)
            if (accuracy := self.trainer.callback_metrics.get("test/accuracy")) is not None:
                rank_zero_info(f"test accuracy: {float(accuracy):.4f} ({best or 'weights of the last epoch'})")
        if self.trainer.log_dir:
            rank_zero_info(f"results: {Path(self.trainer.log_dir).resolve()}")

    def after_predict(self) -> None:
        """Write this process's predictions, a list with an entry for each batch, and say where they lie."""
        folder = self.trainer.log_dir  # asks all processes
        if not folder or not self.trainer.predict_loop.predictions:
            return
        rank = f"_{self.trainer.global_rank}" if self.trainer.world_size > 1 else ""
        path = Path(folder).resolve() / f"predictions{rank}.pt"
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(self.trainer.predict_loop.predictions, path)
        rank_zero_info(f"predictions: {path}")

    def _can_test(self) -> bool:
        return is_overridden("test_step", self.model) and is_overridden("test_dataloader", self.datamodule)


def _single(value: Any) -> Any:
    """Return the one number that all entries equal, as ψ may be written, or the value itself."""
    return value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value


def _name(class_path: str) -> str:
    return class_path.rpartition(".")[2]


def _overruled(asked: Namespace, taken: Namespace) -> list[str]:
    """Return the model's arguments that were asked for and differ from those taken."""
    now = taken.init_args.as_dict()
    return [
        f"model.{name}"
        for name, value in asked.init_args.as_dict().items()
        if name not in LINKED and value != now.get(name)
    ]


def run_lightning(args: ArgsType = None, run: bool = True, cli: type[MAXLCLI] = MAXLCLI) -> MAXLCLI:
    """Run one of Lightning's subcommands.

    Args:
        args: what to parse in place of the process's arguments.
        run: whether to run the subcommand; otherwise there is none, and the result has ``.model``,
            ``.datamodule`` and ``.trainer``, ready to use.
        cli: the class that does it.
    """
    # Lightning 2.6 asks torch's pytree in a way that torch 2.14 deprecates
    warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
    # torch scripts the forward rules of some of its operators when they are first used
    warnings.filterwarnings("ignore", message=".*torch.jit.script. is deprecated.*", category=FutureWarning)
    return cli(
        LightningModule,
        LightningDataModule,
        save_config_callback=LogConfig,
        trainer_defaults={"logger": {"class_path": "CSVLogger", "init_args": {"save_dir": "runs"}}},
        parser_kwargs={"prog": "maxl", "description": DESCRIPTION},
        subclass_mode_model=True,
        subclass_mode_data=True,
        args=args,
        run=run,
        auto_configure_optimizers=False,
    )
