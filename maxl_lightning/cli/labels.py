"""``maxl labels``: the labels that a generator has learned, as a table."""

import argparse
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maxl_lightning.cli.words import split_words

if TYPE_CHECKING:
    from pandas import DataFrame

    from maxl_lightning.datamodules import ImageDataModule
    from maxl_lightning.datasets import DatasetView
    from maxl_lightning.modules import MAXLModule

__all__ = ["run"]

DESCRIPTION = """\
Write the auxiliary labels that a trained label generator gives to every image of a data set.

The table has one row an image, ordered by the image's number in its source: index, file (of images that lie in
files), primary, class_name, label (the most probable auxiliary class), confidence (its probability), and the soft
label, one column for each auxiliary class: soft_3_0 is the first one of primary class 3. Images are shown as in
evaluation, without augmentation.

In a configuration, the table teaches another network as data.auxiliary_labels:

  {class_path: SavedLabels, init_args: {path: labels.parquet}}

Options of `maxl fit` that begin with --data. or --trainer., each with its value, change the configuration that the
checkpoint was trained with:

  maxl labels --ckpt_path runs/digits/maxl/version_0/checkpoints/last.ckpt --out labels.parquet
"""

SPLITS = {"train": ("validate", "train_set"), "val": ("validate", "val_set"), "test": ("test", "test_set")}
"""Of each split, the stage that reads its images and the attribute that has them."""

TRAINER = (
    "--trainer.logger=false",
    "--trainer.callbacks=null",
    "--trainer.devices=1",
    "--trainer.num_nodes=1",
    "--trainer.strategy=auto",
    "--trainer.precision=32-true",
    "--trainer.fast_dev_run=false",
    "--trainer.limit_predict_batches=null",
    "--trainer.enable_model_summary=false",
)
"""What one pass over the images in one process asks of a Trainer, whatever the training asked."""


def run(words: list[str]) -> None:
    """Run the command; the process ends with status 2 where it cannot.

    Args:
        words: of the command line, after ``labels``.
    """
    own, handed_on = split_words(words)
    parser = make_parser()
    options = parser.parse_args(own)
    from lightning.fabric.utilities.exceptions import MisconfigurationException

    from maxl_lightning.labels.table import write_table

    try:
        check_files(options)
        config = options.config or config_beside(options.ckpt_path)
        table = learned_labels(options.ckpt_path, config, options.split, handed_on)
        write_table(options.out, table)
    except (OSError, ValueError, MisconfigurationException) as error:
        parser.exit(2, f"maxl labels: {error}\n")
    print(f"labels of {len(table)} images: {options.out.resolve()}")


def make_parser() -> argparse.ArgumentParser:
    """Return the command's parser."""
    parser = argparse.ArgumentParser(
        "maxl labels", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--ckpt_path", type=Path, required=True, metavar="FILE", help="checkpoint of a MAXLModule")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the table, .parquet or .csv")
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="configuration of the training (default: config.yaml beside the checkpoint's folder)",
    )
    parser.add_argument("--split", choices=SPLITS, default="train", help="which images (default: train)")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing table")
    return parser


def check_files(options: argparse.Namespace) -> None:
    """Refuse a table of an unknown kind or that is there already, and a checkpoint or configuration that is not.

    Raises:
        FileNotFoundError: if there is no such checkpoint or configuration.
        ValueError: if the table cannot be written to ``--out``.
    """
    from maxl_lightning.labels.table import check_suffix

    check_suffix(options.out)
    if options.out.exists() and not options.overwrite:
        raise ValueError(f"{options.out} exists: give --overwrite to replace it, or another --out.")
    for path in (options.ckpt_path, options.config):
        if path is not None and not path.is_file():
            raise FileNotFoundError(f"there is no file {path}.")


def config_beside(checkpoint: Path) -> Path:
    """Return the configuration that a run left beside its folder of checkpoints.

    Raises:
        FileNotFoundError: if there is none.
    """
    config = checkpoint.resolve().parent.parent / "config.yaml"
    if not config.is_file():
        raise FileNotFoundError(f"there is no {config}: give --config, the configuration of the checkpoint's training.")
    return config


def learned_labels(checkpoint: Path, config: Path, split: str, words: Sequence[str] = ()) -> "DataFrame":
    """Return the labels that a checkpoint's generator gives to the images of a split.

    Args:
        checkpoint: of a MAXLModule.
        config: what it was trained with.
        split: "train", "val" or "test".
        words: options of ``maxl fit`` that change the configuration.

    Returns:
        A table as :func:`~maxl_lightning.labels.table.label_table` makes it.

    Raises:
        ValueError: if the checkpoint has no generator, or configuration, checkpoint and data do not fit.
    """
    import torch
    from torch.utils.data import DataLoader

    from maxl_lightning.cli.lightning import run_lightning
    from maxl_lightning.datamodules import ImageDataModule
    from maxl_lightning.labels.table import files_of, label_table
    from maxl_lightning.modules import MAXLModule

    # Lightning takes our own arguments for some that were meant for it
    warnings.filterwarnings("ignore", message=".*LightningCLI's args parameter.*")
    cli = run_lightning(["--config", str(config), *TRAINER, *words], run=False)
    module, data = cli.model, cli.datamodule
    if not isinstance(module, MAXLModule):
        raise ValueError(
            f"{config} trains a {type(module).__name__}, which has no label generator: use a MAXLModule's."
        )
    if not isinstance(data, ImageDataModule):
        raise ValueError(f"{type(data).__name__} is no ImageDataModule, so that its images have no numbers.")
    load(module, checkpoint, config)
    images = images_of(data, split)
    loader = DataLoader(images, data.eval_batch_size, num_workers=data.num_workers)
    batches: Any = cli.trainer.predict(module, loader)
    soft = torch.cat([batch["auxiliary_labels"].float() for batch in batches])
    return label_table(images.indices, images.targets, soft, data.class_names, module.psi, files_of(images))


def load(module: "MAXLModule", checkpoint: Path, config: Path) -> None:
    """Give a module a checkpoint's weights.

    Raises:
        ValueError: if the file is no checkpoint, or of another network.
        MisconfigurationException: if it was trained with another ψ.
    """
    import torch

    try:
        saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
        weights = saved["state_dict"]
    except Exception as error:  # a broken file makes torch.load raise almost anything
        raise ValueError(f"{checkpoint} is no checkpoint that can be read: {error}") from error
    module.on_load_checkpoint(saved)
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip()  # one of a line for each layer, after a title
        raise ValueError(
            f"{checkpoint} does not fit the networks of {config}: give the --config that it was trained with ({first})."
        ) from error


def images_of(data: "ImageDataModule", split: str) -> "DatasetView":
    """Return the images of a split as evaluation sees them, downloaded if need be.

    Raises:
        ValueError: if there are none.
    """
    stage, name = SPLITS[split]
    data.download()
    data.setup(stage)
    images: DatasetView = getattr(data, name)
    if not len(images):
        raise ValueError(f"the split {split!r} has no images: the configuration has data.val_fraction=0.")
    return images
