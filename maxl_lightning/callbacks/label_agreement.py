"""How far the auxiliary labels agree with the finer classes that people gave."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor
from torch.utils.data import Dataset, Subset

from maxl_lightning.callbacks.auxiliary import hierarchy, soft_labels
from maxl_lightning.callbacks.curve import Curve, frame
from maxl_lightning.callbacks.evaluation import evaluating
from maxl_lightning.callbacks.figures import COLORS
from maxl_lightning.callbacks.sample import Sample
from maxl_lightning.datasets.view import DatasetView
from maxl_lightning.hypergradient import MicroBatch
from maxl_lightning.modules import ClassificationModule, MAXLModule

__all__ = ["LabelAgreement"]

INFORMATION, INFORMATION_WITHIN = "train/human_mutual_information", "train/human_mutual_information_within_classes"
RAND, RAND_WITHIN = "train/human_rand_index", "train/human_rand_index_within_classes"


class Agreement(NamedTuple):
    """Agreement of two labellings of the same images.

    Attributes:
        information: normalised mutual information, 0 to 1.
        rand: adjusted Rand index, 0 at chance and 1 at full agreement.
    """

    information: float
    rand: float


def agreement(human: Tensor, learned: Tensor) -> Agreement:
    """Compare two labellings of the same images, whose classes may be numbered differently.

    Args:
        human: classes ``(N,)``.
        learned: other classes ``(N,)``.
    """
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score  # not needed to start

    pair = human.numpy(), learned.numpy()
    return Agreement(float(normalized_mutual_info_score(*pair)), float(adjusted_rand_score(*pair)))


def chance(human: Tensor, learned: Tensor, repeats: int = 10) -> float:
    """Return the normalised mutual information after shuffling, which is above 0 where images are few."""
    shuffler = np.random.default_rng(0)
    shuffled = (torch.from_numpy(shuffler.permutation(learned.numpy())) for _ in range(repeats))
    return sum(agreement(human, labels).information for labels in shuffled) / repeats


class LabelAgreement(Curve):
    """Logs and draws how the auxiliary labels agree with human ones: mutual information and adjusted Rand index.

    Most of the agreement over all images is that of the primary classes, which both labellings respect: what the
    labels found is the agreement *within* primary classes, whose mean has a name of its own. Primary classes that
    are not split, or whose images people did not tell apart, are left out of that mean.

    Human labels come from the data set's source, by its method ``finer_targets(human_classes)``, or, for MAXLModule,
    are the third entry of the items of ``dataset``, as class indices.

    Args:
        human_classes: number of the data set's finer classes; None stands for Σψ.
        num_images: images to compare.
        options: of :class:`~maxl_lightning.callbacks.curve.Curve` and
            :class:`~maxl_lightning.callbacks.picture.Picture`.

    Raises:
        ValueError: if an argument is out of its range.
        MisconfigurationException: if the module has no auxiliary task, or there are no human labels.
    """

    def __init__(self, human_classes: int | None = None, num_images: int = 2000, **options: Any) -> None:
        super().__init__(num_images=num_images, **options)
        self.human_classes = human_classes

    def _begin(self) -> None:
        super()._begin()
        self.agreements: dict[int, Agreement] = {}
        self._pairs: dict[int, tuple[Tensor, Tensor]] = {}
        self._human: Tensor | None = None

    def check(self, module: ClassificationModule, sample: Sample) -> None:
        """Find the human labels.

        Raises:
            MisconfigurationException: if there are none.
        """
        number = sum(hierarchy(module)) if self.human_classes is None else self.human_classes
        self._human = human_labels(sample.dataset, sample.indices, number)
        if self._human is None and not (isinstance(module, MAXLModule) and _has_third_entry(module, sample)):
            raise MisconfigurationException(
                "LabelAgreement has no human labels to compare with: use a data set whose source has a method "
                "finer_targets(number), or with MAXLModule dataset=… whose items are (image, primary, human label)."
            )

    def observe(self, module: ClassificationModule, batches: Iterator[MicroBatch]) -> dict[str, float]:
        """Return the agreement over all images, and the mean of that within primary classes."""
        given, primary, labels = [], [], []
        with evaluating(module), torch.no_grad():
            for batch in batches:
                primary.append(batch.y.cpu())
                labels.append(soft_labels(module, batch).argmax(dim=1))
                if self._human is None and batch.auxiliary is not None:
                    given.append(batch.auxiliary.cpu())
        y, learned = torch.cat(primary), torch.cat(labels)
        human = torch.cat(given) if self._human is None else self._human
        split = [c for c, size in enumerate(hierarchy(module)) if size > 1 and len(torch.unique(human[y == c])) > 1]
        self._pairs = {c: (human[y == c], learned[y == c]) for c in split}
        self.agreements = {c: agreement(*pair) for c, pair in self._pairs.items()}
        whole = agreement(human, learned)
        numbers = {INFORMATION: whole.information, RAND: whole.rand}
        if split:
            numbers[INFORMATION_WITHIN] = sum(a.information for a in self.agreements.values()) / len(split)
            numbers[RAND_WITHIN] = sum(a.rand for a in self.agreements.values()) / len(split)
        return numbers

    def draw(self, epoch: int) -> Figure:
        """Return bars for each primary class, and the means over epochs."""
        names = [self.names[c] for c in self.agreements]
        width = min(12.0, max(4.0, 0.4 * len(names) + 1))
        crowded = sum(map(len, names)) > 11 * width
        height = 4.0 + (0.07 * max(map(len, names)) if crowded else 0)
        figure = Figure(figsize=(width + 4.2, height), layout="constrained")
        bars, curve = figure.subplots(1, 2, sharey=True, width_ratios=(width, 4.2))
        self._draw_bars(bars)
        size = min(9.0, 600 / max(len(names), 1))
        bars.set_xticks(range(len(names)), names, rotation=90 if crowded else 0, fontsize=size)
        self.plot(curve, INFORMATION_WITHIN, color=COLORS[0])
        self.plot(curve, RAND_WITHIN, color=COLORS[1], linestyle="--")
        frame(bars, "within each primary class", "", "agreement")
        frame(curve, "mean of the primary classes", "epoch", "")
        figure.suptitle(f"Agreement of auxiliary with human labels, after epoch {epoch}")
        handles = bars.get_legend_handles_labels()
        figure.legend(*handles, loc="outside lower center", ncols=3, frameon=False, fontsize="small")
        return figure

    def _draw_bars(self, axes: Axes) -> None:
        places = np.arange(len(self.agreements))
        information, rand = zip(*self.agreements.values(), strict=True) if self.agreements else ((), ())
        axes.bar(places - 0.2, information, 0.4, color=COLORS[0], label="normalised mutual information")
        axes.bar(places + 0.2, rand, 0.4, color=COLORS[1], label="adjusted Rand index, 0 by chance")
        by_chance = [chance(*pair) for pair in self._pairs.values()]
        axes.hlines(by_chance, places - 0.4, places, color="black", label="mutual information by chance")
        axes.axhline(0, color="0.6", linewidth=0.8)


def human_labels(dataset: Dataset[Any], indices: Tensor, number: int) -> Tensor | None:
    """Return the finer classes of some images, int64 ``(N,)``, or None if the data set does not tell any.

    Raises:
        MisconfigurationException: if it has no level of this many classes.
    """
    source: Any = dataset
    while isinstance(source, Subset):
        source, indices = source.dataset, torch.as_tensor(source.indices)[indices]
    view = getattr(source, "view", source)
    if isinstance(view, DatasetView):
        source, indices = view.source, view.indices[indices]
    finer_targets = getattr(source, "finer_targets", None)
    if finer_targets is None:
        return None
    try:
        return torch.as_tensor(finer_targets(number), dtype=torch.int64)[indices]
    except ValueError as error:
        raise MisconfigurationException(
            f"LabelAgreement: {error} Set human_classes to the number of classes of a level that there is."
        ) from error


def _has_third_entry(module: ClassificationModule, sample: Sample) -> bool:
    batch = sample.collate([sample.dataset[int(sample.indices[0])]])
    third = module.unpack_batch(batch)[2]
    return third is not None and third.ndim == 1 and not third.is_floating_point()
