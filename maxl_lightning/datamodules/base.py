"""What the datamodules of all image data sets have in common."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningDataModule
from lightning.pytorch.trainer.states import TrainerFn
from matplotlib.figure import Figure
from torch import Tensor
from torch.utils.data import DataLoader, default_collate

from maxl_lightning.datamodules.gallery import plot_images
from maxl_lightning.datamodules.images_per_class import check_images_per_class
from maxl_lightning.datamodules.loader import EpochLoader
from maxl_lightning.datamodules.sampler import EpochSampler
from maxl_lightning.datamodules.split import grouped_split, stratified_split
from maxl_lightning.datamodules.transforms import image_transform
from maxl_lightning.datasets.arguments import check_at_least, check_seed, data_folder, default_seed
from maxl_lightning.datasets.view import DatasetView, LabelledImages
from maxl_lightning.functional import auxiliary_classes
from maxl_lightning.labels import AuxiliaryDataset, AuxiliaryLabels, check_auxiliary_labels

__all__ = ["ImageDataModule"]


class ImageDataModule(LightningDataModule, ABC):
    """Base of the datamodules: subclasses name the classes and supply the images.

    Methods are only comparable if they see the same images, so splits, order and augmentation are functions
    of seeds and of nothing else: neither the number of workers nor that of processes nor a resumed run
    changes them.

    Batches are ``(image, primary)``, or ``(image, primary, auxiliary)`` in training if ``auxiliary_labels``
    are given: images float32 ``(N, channels, height, width)``, primary classes int64 ``(N,)``, auxiliary
    labels as the label source gives them.

    A subclass sets :attr:`class_names`, :attr:`mean` and :attr:`std` in its body, implements
    :meth:`train_source` and :meth:`test_source`, and :meth:`download` if there is something to fetch. A
    constructor is needed only for arguments or defaults of its own: it then takes ``**options: Any`` too and
    hands them to this one, and the command line shows both.

    Args:
        data_dir: folder of the data; None stands for the environment variable MAXL_DATA_DIR, else "data".
        batch_size: images in a training batch of one process. The last batch of an epoch may be smaller.
        eval_batch_size: images in a validation or test batch; None stands for ``batch_size``.
        num_workers: processes that load images for each loader.
        val_fraction: share of the training images that is held out for validation, at least 0 and below 1; 0
            trains on all images and skips validation.
        num_train: how many of the remaining images to train on; None stands for all of them.
        split_seed: seed of the splits, apart from ``seed`` so that several runs can share them.
        seed: seed of order and augmentation; None stands for the seed of Lightning's ``seed_everything``,
            else 0.
        psi: the hierarchy ψ, one number of auxiliary classes for all primary classes or one for each.
        auxiliary_labels: source of auxiliary labels for the training images.
        pin_memory: load into page-locked memory, from which copies to an accelerator are faster; None does so
            where CUDA is available.

    Attributes:
        num_classes: number of primary classes C.
        psi: ψ with C entries, or None.
        train_set: the training images without augmentation, once ``setup("fit")`` has run.
        val_set: the validation images, once ``setup("fit")`` has run.
        test_set: the test images, once ``setup("test")`` has run.

    Raises:
        ValueError: if an argument is out of its range.
    """

    class_names: tuple[str, ...]
    """Names of the primary classes."""
    mean: tuple[float, ...]
    """What normalisation takes from each channel of an image between 0 and 1."""
    std: tuple[float, ...]
    """What normalisation divides each channel by."""

    def __init__(
        self,
        data_dir: str | None = None,
        batch_size: int = 100,
        eval_batch_size: int | None = None,
        num_workers: int = 2,
        val_fraction: float = 0.1,
        num_train: int | None = None,
        split_seed: int = 0,
        seed: int | None = None,
        psi: int | list[int] | None = None,
        auxiliary_labels: AuxiliaryLabels | None = None,
        pin_memory: bool | None = None,
    ) -> None:
        super().__init__()
        check_at_least(1, batch_size=batch_size, eval_batch_size=eval_batch_size, num_train=num_train)
        check_at_least(0, num_workers=num_workers)
        check_seed(split_seed=split_seed, seed=seed)
        if not 0 <= val_fraction < 1:
            raise ValueError(f"val_fraction is {val_fraction}: use a share of at least 0 and below 1.")
        if auxiliary_labels is not None and psi is None:
            raise ValueError("auxiliary_labels need psi, the number of auxiliary classes: give psi, too.")
        self.data_dir = data_folder(data_dir)
        self.batch_size = batch_size
        self.eval_batch_size = batch_size if eval_batch_size is None else eval_batch_size
        self.num_workers = num_workers
        self.val_fraction = val_fraction
        self.num_train = num_train
        self.split_seed = split_seed
        self.seed = seed
        self.auxiliary_labels = auxiliary_labels
        self.pin_memory = torch.cuda.is_available() if pin_memory is None else pin_memory
        self.num_classes = len(self.class_names)
        self.psi = None if psi is None else auxiliary_classes(psi, self.num_classes)
        self.train_set: DatasetView | None = None
        self.val_set: DatasetView | None = None
        self.test_set: DatasetView | None = None
        self._labels: Tensor | None = None

    @abstractmethod
    def train_source(self) -> LabelledImages:
        """Return all images that may be trained or validated on, with their primary classes as ``targets``."""

    @abstractmethod
    def test_source(self) -> LabelledImages:
        """Return the test images, with their primary classes as ``targets``."""

    def val_source(self) -> LabelledImages | None:
        """Return validation images of their own; None, the default, holds out ``val_fraction`` of the others."""
        return None

    def strata(self, source: LabelledImages) -> Sequence[int] | Tensor:
        """Return the classes whose shares the splits keep; the primary classes unless overridden."""
        return source.targets  # type: ignore[no-any-return]  # a list or a tensor

    def groups(self, source: LabelledImages) -> Sequence[int] | Tensor | None:
        """Return the group of each image, if none may have images on both sides of the validation split.

        Frames of one video are all but the same image. None, the default, splits image by image.
        """
        return None

    def augmentation(self) -> Callable[[Any], Any] | None:
        """Return what varies a training image before it is normalised; None shows it as :meth:`sizing` leaves it."""
        return self.sizing()

    def sizing(self) -> Callable[[Any], Any] | None:
        """Return what brings an image that is not augmented to its size; None, the default, leaves it as it is."""
        return None

    def download(self) -> None:
        """Fetch the data unless they are there; by default there is nothing to fetch.

        Raises:
            FileNotFoundError: if they are not there and cannot be had; the message says how to get them.
            ValueError: if a file is corrupt and no good one can be had.
        """

    def prepare_data(self) -> None:
        """Fetch the data, and before training let the label source do what takes long.

        Lightning calls this in one process of each machine, before any reads the data.
        """
        self.download()
        trains = self.trainer is None or self.trainer.state.fn == TrainerFn.FITTING
        if trains and self.auxiliary_labels is not None and self.psi is not None:
            self.auxiliary_labels.prepare(self._read_training_images(), self.psi)

    def setup(self, stage: str | None = None) -> None:
        """Read the images of a stage and split them, once.

        Args:
            stage: "fit", "validate", "test" or "predict"; None for all.

        Raises:
            FileNotFoundError: if the data are not there.
            ValueError: if they are corrupt, or do not suit the split, the number of classes or the labels.
        """
        if stage in ("fit", "validate", None):
            self._read_training_images()
        if stage in ("fit", None) and self.auxiliary_labels is not None and self._labels is None:
            self._labels = self._label(self.auxiliary_labels)
        if stage in ("test", "predict", None) and self.test_set is None:
            self.test_set = self._view(self.test_source())

    def train_dataset(self, augmented: bool = True) -> DatasetView | AuxiliaryDataset:
        """Return the training images, with auxiliary labels if a source was given.

        Args:
            augmented: whether they vary as in training, or are shown as in evaluation.

        Raises:
            MisconfigurationException: before ``setup("fit")``.
        """
        view = _ready(self.train_set, "fit")
        if augmented and (augmentation := self.augmentation()) is not None:
            transform = image_transform(self.mean, self.std, augmentation)
            view = DatasetView(view.source, view.indices, transform, self._run_seed())
        if self._labels is None or self.psi is None:
            return view
        return AuxiliaryDataset(view, self._labels, self.psi)

    def train_dataloader(self) -> DataLoader[Any]:
        """Return the loader of the training images: shuffled, augmented, and each process its share."""
        dataset = self.train_dataset()
        trainer = self.trainer
        replicas, rank = (1, 0) if trainer is None else (trainer.world_size, trainer.global_rank)
        sampler = EpochSampler(dataset, replicas, rank, self._run_seed())
        # BatchNorm cannot normalise a single image, so a last batch of one is left out; others are kept
        lonely = 1 < self.batch_size < len(sampler) and len(sampler) % self.batch_size == 1
        return self._loader(EpochLoader, dataset, self.batch_size, sampler=sampler, drop_last=lonely)

    def val_dataloader(self) -> DataLoader[Any] | list[DataLoader[Any]]:
        """Return the loader of the validation images; without any, no loader, so that Lightning skips them."""
        val_set = _ready(self.val_set, "fit")
        return self._loader(DataLoader, val_set, self.eval_batch_size) if len(val_set) else []

    def test_dataloader(self) -> DataLoader[Any]:
        """Return the loader of the test images."""
        return self._loader(DataLoader, _ready(self.test_set, "test"), self.eval_batch_size)

    def predict_dataloader(self) -> DataLoader[Any]:
        """Return the loader of the test images."""
        return self.test_dataloader()

    def plot(self, batch: Sequence[Tensor] | None = None) -> Figure:
        """Draw up to 16 images with the names of their primary classes.

        Args:
            batch: images ``(N, channels, height, width)``, primary classes ``(N,)`` and perhaps more; None
                draws training images as the network sees them in epoch 0, evenly spread over the data set, since
                folders are read class by class.

        Raises:
            MisconfigurationException: without a batch, before ``setup("fit")``.
            ValueError: if the batch is empty.
        """
        if batch is None:
            dataset = self.train_dataset()
            number = min(16, len(dataset))
            batch = default_collate([dataset[place * len(dataset) // number] for place in range(number)])
        images, primary = batch[0][:16], batch[1][:16]
        titles = [self.class_names[number] for number in primary.tolist()]
        return plot_images(images, titles, self.mean, self.std)

    def _read_training_images(self) -> DatasetView:
        if self.train_set is None:
            self._split(self.train_source())
        return _ready(self.train_set, "fit")

    def _split(self, source: LabelledImages) -> None:
        strata = torch.as_tensor(self.strata(source))
        given = self.val_source()
        val, rest = self._held_out(source, strata, self.val_fraction if given is None else 0.0)
        num_train = len(rest) if self.num_train is None else self.num_train
        if num_train > len(rest):
            raise ValueError(f"num_train is {num_train}, but only {len(rest)} images are left to train on.")
        chosen, _ = stratified_split(strata[rest], num_train, self.split_seed, "num_train")
        self.train_set = self._view(source, rest[chosen])
        check_images_per_class(self.train_set.targets, self.class_names, self.psi)
        self.val_set = self._view(source, val) if given is None else self._view(given)

    def _held_out(self, source: LabelledImages, strata: Tensor, share: float) -> tuple[Tensor, Tensor]:
        name, groups = f"val_fraction={share}", self.groups(source)
        if groups is not None:
            return grouped_split(strata, groups, share, self.split_seed, name)
        return stratified_split(strata, round(share * len(source)), self.split_seed, name)

    def _label(self, source: AuxiliaryLabels) -> Tensor:
        psi = auxiliary_classes(self.psi or (), self.num_classes)
        train_set = _ready(self.train_set, "fit")
        labels = source(train_set, psi)
        check_auxiliary_labels(labels, len(train_set), psi)
        return labels

    def _view(self, source: LabelledImages, indices: Tensor | None = None) -> DatasetView:
        view = DatasetView(source, indices, image_transform(self.mean, self.std, self.sizing()))
        if len(view) and not 0 <= int(view.targets.min()) <= int(view.targets.max()) < self.num_classes:
            raise ValueError(
                f"{type(source).__name__} has primary classes from {int(view.targets.min())} to "
                f"{int(view.targets.max())}, but class_names gives {self.num_classes} names: correct one of them."
            )
        return view

    def _run_seed(self) -> int:
        return default_seed() if self.seed is None else self.seed

    def _loader(self, kind: type[DataLoader[Any]], dataset: Any, batch_size: int, **options: Any) -> DataLoader[Any]:
        return kind(
            dataset,
            batch_size=batch_size,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=self.pin_memory,
            # a loader draws a seed for its workers each epoch: not from the generator that training uses
            generator=torch.Generator(),
            **options,
        )


def _ready(dataset: DatasetView | None, stage: str) -> DatasetView:
    if dataset is None:
        raise MisconfigurationException(
            f'the images are not read yet: call prepare_data() and setup("{stage}") first, or let a Trainer do it.'
        )
    return dataset
