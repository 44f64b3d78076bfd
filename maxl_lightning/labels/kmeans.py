"""K-means labels: clusters of images that look alike."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import torch
from lightning_utilities.core.rank_zero import rank_zero_info
from torch import Tensor, nn

from maxl_lightning.datasets.arguments import check_at_least, check_seed, data_folder, default_seed
from maxl_lightning.datasets.seeding import derive_seed
from maxl_lightning.datasets.view import DatasetView
from maxl_lightning.labels.base import AuxiliaryLabels
from maxl_lightning.labels.blocks import block_starts
from maxl_lightning.labels.cache import fingerprint, load_labels, save_labels
from maxl_lightning.labels.latents import (
    autoencoder_latents,
    encoder_features,
    image_batches,
    scaled_down,
    train_autoencoder,
)

__all__ = ["KMeansLabels", "cluster_each_class"]

VERSION = 1
"""To be raised when a change of the code changes the labels: files of another version are then not used."""


class KMeansLabels(AuxiliaryLabels):
    """Cluster the images of each primary class c into ψ_c clusters of an autoencoder's latent (paper, section 4.3).

    The autoencoder is a small convolutional one that learns the training images first, without augmentation; or else
    the features of any encoder are clustered. The labels are kept as one file, named by a hash of all that determines
    them, and made only if it is not there.

    They are the same again for the same seed, on one machine with one number of threads.

    Args:
        encoder: images ``(N, channels, H, W)`` → features ``(N, d)``, used as it is, in evaluation mode; None trains
            an autoencoder. The next five arguments are the autoencoder's.
        latent_size: number of features of the latent.
        steps: batches to train on.
        batch_size: images in a batch.
        learning_rate: of Adam.
        image_size: images with a longer side are averaged down to this many pixels first, as the latent holds no
            finer detail.
        num_init: k-means keeps the best of so many runs.
        seed: seed of the autoencoder and of k-means; None stands for the seed of Lightning's ``seed_everything``,
            else 0, so that every run of a comparison over seeds clusters anew.
        cache_dir: folder of the files; None stands for ``auxiliary_labels`` in the folder that the environment
            variable MAXL_DATA_DIR names, else in "data".
        num_workers: processes that read the images.

    Raises:
        ValueError: if an argument is out of its range.
    """

    def __init__(
        self,
        encoder: nn.Module | None = None,
        latent_size: int = 64,
        steps: int = 1000,
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        image_size: int = 32,
        num_init: int = 10,
        seed: int | None = None,
        cache_dir: str | None = None,
        num_workers: int = 0,
    ) -> None:
        check_at_least(1, latent_size=latent_size, steps=steps, batch_size=batch_size)
        check_at_least(1, image_size=image_size, num_init=num_init)
        check_at_least(0, num_workers=num_workers)
        check_seed(seed=seed)
        if not learning_rate > 0:
            raise ValueError(f"learning_rate is {learning_rate}: use a positive number.")
        self.encoder = encoder
        self.latent_size = latent_size
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.image_size = image_size
        self.num_init = num_init
        self.seed = seed
        self.cache_dir = data_folder(None) / "auxiliary_labels" if cache_dir is None else data_folder(cache_dir)
        self.num_workers = num_workers

    def __call__(self, dataset: DatasetView, psi: Sequence[int]) -> Tensor:
        """Return class indices ``(N,)``, each in the block of the image's own primary class.

        Raises:
            ValueError: if a primary class has fewer images than ψ asks clusters of it, the images are no tensors of
                floating type, the encoder gives no features ``(N, d)``, or ``cache_dir`` cannot be written to.
        """
        _check_images_per_class(dataset.targets, psi)
        _check_type(dataset)
        path = self.path(dataset, psi)
        labels = load_labels(path, dataset, psi)
        if labels is None:
            _check_writable(self.cache_dir)  # making them takes long
            labels = self._make(dataset, psi)
            save_labels(path, labels, self._settings(psi))
            rank_zero_info(f"k-means labels: {path.resolve()}")
        return labels

    def prepare(self, dataset: DatasetView, psi: Sequence[int]) -> None:
        """Make the file, unless it is there."""
        self(dataset, psi)

    def path(self, dataset: DatasetView, psi: Sequence[int]) -> Path:
        """Return the file that keeps the labels of a data set."""
        return self.cache_dir / f"kmeans-{fingerprint(dataset, self._settings(psi), self.encoder)}.pt"

    def latents(self, dataset: DatasetView) -> Tensor:
        """Return what the images are clustered by, float32 ``(N, d)``."""
        batches = image_batches(dataset, self.num_workers)
        if self.encoder is not None:
            return encoder_features(self.encoder, batches)
        rank_zero_info(f"k-means labels: an autoencoder learns {len(dataset)} images first, in {self.steps} steps")
        images = torch.cat([scaled_down(batch, self.image_size) for batch in batches])
        autoencoder = train_autoencoder(
            images, self.latent_size, self.steps, self.batch_size, self.learning_rate, self._seed()
        )
        return autoencoder_latents(autoencoder, images)

    def _make(self, dataset: DatasetView, psi: Sequence[int]) -> Tensor:
        latents = self.latents(dataset)
        if not latents.isfinite().all():
            remedy = "lower learning_rate" if self.encoder is None else "use another encoder"
            raise ValueError(f"the features to be clustered are not all finite: {remedy}.")
        return cluster_each_class(latents, dataset.targets, psi, self.num_init, self._seed())

    def _seed(self) -> int:
        return default_seed() if self.seed is None else self.seed

    def _settings(self, psi: Sequence[int]) -> dict[str, Any]:
        """Return by name all settings that make a difference."""
        settings = {"version": VERSION, "psi": list(psi), "num_init": self.num_init, "seed": self._seed()}
        if self.encoder is not None:
            return settings
        names = ("latent_size", "steps", "batch_size", "learning_rate", "image_size")
        return {**settings, **{name: getattr(self, name) for name in names}}


def cluster_each_class(latents: Tensor, primary: Tensor, psi: Sequence[int], num_init: int, seed: int) -> Tensor:
    """Cluster the images of each primary class by themselves.

    Args:
        latents: ``(N, d)``.
        primary: primary classes, int64 ``(N,)``.
        psi: the hierarchy ψ: the number of clusters of each primary class.
        num_init: k-means keeps the best of so many runs.
        seed: class c is clustered with the seed ``derive_seed(seed, c)``.

    Returns:
        Class indices, int64 ``(N,)``: the clusters of a primary class are numbered from the start of its block.
    """
    from sklearn.cluster import KMeans  # takes long to import

    labels = torch.empty(len(primary), dtype=torch.int64)
    for c, (start, size) in enumerate(zip(block_starts(psi).tolist(), psi, strict=True)):
        members = primary == c
        kmeans = KMeans(size, n_init=num_init, random_state=derive_seed(seed, c))
        labels[members] = start + torch.from_numpy(kmeans.fit_predict(latents[members].numpy())).long()
    return labels


def _check_images_per_class(primary: Tensor, psi: Sequence[int]) -> None:
    for c, (size, images) in enumerate(zip(psi, primary.bincount(minlength=len(psi)).tolist(), strict=True)):
        if size > images:
            raise ValueError(
                f"psi asks for {size} clusters of primary class {c}, which has {images} training images: choose a "
                "smaller psi for it, or train on more images."
            )


def _check_type(dataset: DatasetView) -> None:
    image = dataset[0][0]
    if not isinstance(image, Tensor) or not image.is_floating_point():
        kind = f"tensors of type {image.dtype}" if isinstance(image, Tensor) else f"of type {type(image).__name__}"
        raise ValueError(
            f"KMeansLabels needs images as tensors of floating type, but they are {kind}: give the view a transform."
        )


def _check_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(
            f"k-means labels cannot be kept in {folder.absolute()} ({error.strerror}): set cache_dir to another folder "
            "(data.auxiliary_labels.cache_dir on the command line)."
        ) from error
