"""The paper's look at the learned labels: the images that show each auxiliary class best."""

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningModule, Trainer
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor
from torch.utils.data import Dataset

from maxl_lightning.callbacks.auxiliary import blocks, hierarchy, soft_labels
from maxl_lightning.callbacks.evaluation import evaluating
from maxl_lightning.callbacks.figures import percent
from maxl_lightning.callbacks.mosaic import displayable, mosaic, shrink
from maxl_lightning.callbacks.picture import Picture
from maxl_lightning.datasets.arguments import check_at_least
from maxl_lightning.hypergradient import MicroBatch
from maxl_lightning.modules import ClassificationModule

__all__ = ["LabelGallery"]

MOST_ROWS = 10
"""Auxiliary classes of a primary class that are shown, the most used ones."""


class Row(NamedTuple):
    """The best images of one auxiliary class.

    Attributes:
        position: of the class in its block.
        share: of the primary class's images for which it is the most probable one.
        images: between 0 and 1, ``(n, channels, height, width)``, the best first.
        probabilities: of the class in these images' labels, ``(n,)``.
    """

    position: int
    share: float
    images: Tensor
    probabilities: Tensor


class LabelGallery(Picture):
    """Draws the images to which the labels give each auxiliary class most surely (paper, section 4.5).

    Args:
        primary_classes: numbers or names of the primary classes to show; None shows the first four that are split.
        num_images: images to choose the best from, in equal numbers of each primary class shown.
        images_per_class: images shown of each auxiliary class.
        mean: what normalisation takes from each channel of an image between 0 and 1; None stands for the data
            module's, or else stretches the images' own range.
        std: what it divides each channel by.
        options: of :class:`~maxl_lightning.callbacks.picture.Picture`.

    Raises:
        ValueError: if an argument is out of its range, or there is no such primary class.
        MisconfigurationException: if the module has no auxiliary task.
    """

    def __init__(
        self,
        primary_classes: list[int | str] | None = None,
        num_images: int = 1000,
        images_per_class: int = 8,
        mean: list[float] | None = None,
        std: list[float] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(num_images=num_images, **options)
        check_at_least(1, images_per_class=images_per_class)
        if (mean is None) != (std is None):
            raise ValueError("mean and std go together: give both or neither.")
        self.primary_classes = primary_classes
        self.images_per_class = images_per_class
        self.mean, self.std = mean, std

    def _begin(self) -> None:
        super()._begin()
        self.shown: list[int] = []
        self.rows: dict[int, list[Row]] = {}
        self._normalisation: tuple[Any, Any] = (None, None)

    def chosen_classes(self, module: ClassificationModule, dataset: Dataset[Any]) -> Collection[int] | None:
        """Return the primary classes that are shown.

        Raises:
            ValueError: naming one that there is not.
        """
        if self.primary_classes is None:
            split = [number for number, size in enumerate(hierarchy(module)) if size > 1]
            self.shown = (split or list(range(module.num_classes)))[:4]
        else:
            self.shown = [self._number(wanted) for wanted in self.primary_classes]
        return self.shown

    def _number(self, wanted: int | str) -> int:
        name = str(wanted).replace("_", " ")
        number = self.names.index(name) if isinstance(wanted, str) and name in self.names else wanted
        if not isinstance(number, int) or not 0 <= number < len(self.names):
            raise ValueError(
                f"primary_classes has {wanted!r}, but the classes are {', '.join(self.names)}: use one of these names, "
                f"or a number from 0 to {len(self.names) - 1}."
            )
        return number

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Choose the images, and look up how they are normalised."""
        super().on_train_start(trainer, pl_module)
        data = getattr(trainer, "datamodule", None)
        known = getattr(data, "mean", None), getattr(data, "std", None)
        self._normalisation = known if self.mean is None else (self.mean, self.std)

    def observe(self, module: ClassificationModule, batches: Iterator[MicroBatch]) -> dict[str, float]:
        """Find the best images of every auxiliary class."""
        images, primary, labels = [], [], []
        with evaluating(module), torch.no_grad():
            for batch in batches:
                images.append(shrink(_images(batch.x)))
                primary.append(batch.y.cpu())
                labels.append(soft_labels(module, batch))
        pixels = displayable(torch.cat(images), *self._normalisation)
        y, z = torch.cat(primary), torch.cat(labels)
        every_block = blocks(hierarchy(module))
        self.rows = {
            number: self._best(pixels[y == number], z[y == number, every_block[number]])
            for number in self.shown
            if (y == number).any()
        }
        return {}

    def _best(self, images: Tensor, labels: Tensor) -> list[Row]:
        shares = torch.bincount(labels.argmax(dim=1), minlength=labels.shape[1]).double() / len(labels)
        rows = []
        for position in sorted(shares.argsort(descending=True, stable=True)[:MOST_ROWS].tolist()):
            best = labels[:, position].argsort(descending=True, stable=True)[: self.images_per_class]
            rows.append(Row(position, float(shares[position]), images[best], labels[best, position]))
        return rows

    def draw(self, epoch: int) -> Figure:
        """Return a panel for each primary class, a row for each of its auxiliary classes."""
        columns = 1 if len(self.rows) == 1 else 2
        lines = -(-len(self.rows) // columns)
        most = max(len(rows) for rows in self.rows.values())
        figure = Figure(
            figsize=(columns * (0.55 * self.images_per_class + 1.6), lines * (0.55 * most + 0.5) + 0.7),
            layout="constrained",
        )
        for place, (number, rows) in enumerate(self.rows.items(), start=1):
            self._draw_panel(figure.add_subplot(lines, columns, place), rows, self.names[number])
        figure.suptitle(
            f"Images with the most probable labels of each auxiliary class, after epoch {epoch}\n"
            "left: share of the class's images with this label; right: probability, from the first image to the last",
            fontsize="small",
        )
        return figure

    def _draw_panel(self, axes: Axes, rows: list[Row], name: str) -> None:
        picture = mosaic([row.images for row in rows], self.images_per_class)
        axes.imshow(picture.numpy(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        height = picture.shape[0] / len(rows)
        middles = [(number + 0.47) * height for number in range(len(rows))]
        axes.set_title(name, fontsize="medium")
        axes.set_xticks([])
        axes.set_yticks(middles, [f"{row.position + 1}:  {percent(row.share)}" for row in rows], fontsize="small")
        beside = axes.secondary_yaxis("right")
        ranges = [f"{row.probabilities[0]:.2f} – {row.probabilities[-1]:.2f}" for row in rows]
        beside.set_yticks(middles, ranges, fontsize="small")
        for part in (axes, beside):
            part.tick_params(length=0)
            part.spines[:].set_visible(False)


def _images(x: Tensor) -> Tensor:
    if x.ndim != 4:
        raise MisconfigurationException(
            f"LabelGallery draws images (N, channels, height, width), but batches are of shape {tuple(x.shape)}: take "
            "it out of trainer.callbacks."
        )
    return x
