"""Which auxiliary classes the labels use, and a warning where they say nothing."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple, cast

import torch
from lightning_utilities.core.rank_zero import rank_zero_warn
from matplotlib.figure import Figure, SubFigure
from torch import Tensor
from torch.nn import functional as F

from maxl_lightning.callbacks.auxiliary import blocks, hierarchy, read_labels
from maxl_lightning.callbacks.curve import Curve, frame
from maxl_lightning.callbacks.evaluation import evaluating
from maxl_lightning.callbacks.figures import COLORS
from maxl_lightning.callbacks.heat_map import draw_heat_map, heat_map_size
from maxl_lightning.datasets.arguments import check_at_least
from maxl_lightning.datasets.naming import listed
from maxl_lightning.functional import negative_entropy
from maxl_lightning.hypergradient import MicroBatch
from maxl_lightning.modules import ClassificationModule

__all__ = ["LabelUsage"]

FEWEST = 5
"""Images of a class below which nothing can be said of how its auxiliary classes are used."""

USED, LEAST_USED = "train/classes_used_mean", "train/classes_used_min"
LABEL_ENTROPY, IMAGE_ENTROPY = "train/relative_label_entropy", "train/relative_image_label_entropy"


class Usage(NamedTuple):
    """How the images of one primary class are spread over its block of ψ_c auxiliary classes.

    Attributes:
        primary: the class.
        num_images: how many images of it were looked at.
        top: share of the images that each auxiliary class is the most probable one of, ``(ψ_c,)``.
        mean: mean label ``(ψ_c,)``.
        image_entropy: mean entropy of an image's own label, as a share of log ψ_c.
    """

    primary: int
    num_images: int
    top: Tensor
    mean: Tensor
    image_entropy: float

    @property
    def tells(self) -> bool:
        """Whether the class is split at all, and its images are enough to say how."""
        return len(self.top) > 1 and self.num_images >= FEWEST

    @property
    def effective(self) -> float:
        """Effective number of auxiliary classes in use, exp H(top): between 1 and ψ_c."""
        return math.exp(-float(negative_entropy(self.top)))

    @property
    def mean_entropy(self) -> float:
        """Entropy of the mean label, as a share of log ψ_c."""
        return -float(negative_entropy(self.mean)) / math.log(len(self.mean))


def measure_usage(primary: Tensor, labels: Tensor, psi: tuple[int, ...]) -> list[Usage]:
    """Return the usage of every primary class that has images.

    Args:
        primary: primary classes ``(N,)``.
        labels: soft labels ``(N, Σψ)``.
        psi: the hierarchy ψ.
    """
    usages = []
    for number, block in enumerate(blocks(psi)):
        own = labels[primary == number, block]
        if not len(own):
            continue
        top = F.one_hot(own.argmax(dim=1), psi[number]).float().mean(dim=0)
        entropy = -float(negative_entropy(own).mean()) / math.log(max(psi[number], 2))
        usages.append(Usage(number, len(own), top, own.mean(dim=0), entropy))
    return usages


class LabelUsage(Curve):
    """Logs and draws how the auxiliary labels use their classes, and warns where they teach nothing.

    Labels can fail in two ways: all images of a primary class get the same auxiliary class (collapse), or every
    image gets all of them alike (uniform labels). Each is warned of once, if a generator in training gives them.

    Primary classes that are not split, ψ_c = 1, are left out of all numbers, and so are those of fewer than five
    images in the sample.

    Args:
        collapse_threshold: effective number of auxiliary classes in use, exp of the entropy of the most probable
            ones, below which a primary class counts as collapsed.
        uniform_threshold: mean entropy of an image's label, as a share of log ψ, above which labels count as
            uniform.
        patience: measurements in a row that it takes to warn.
        options: of :class:`~maxl_lightning.callbacks.curve.Curve` and
            :class:`~maxl_lightning.callbacks.picture.Picture`.

    Raises:
        ValueError: if an argument is out of its range.
        MisconfigurationException: if the module has no auxiliary task.
    """

    def __init__(
        self,
        collapse_threshold: float = 1.2,
        uniform_threshold: float = 0.98,
        patience: int = 10,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if collapse_threshold < 1:
            raise ValueError(f"collapse_threshold is {collapse_threshold}: at least one class is always in use.")
        if not 0 < uniform_threshold <= 1:
            raise ValueError(f"uniform_threshold is {uniform_threshold}: use a share of log ψ, above 0 and up to 1.")
        check_at_least(1, patience=patience)
        self.collapse_threshold = collapse_threshold
        self.uniform_threshold = uniform_threshold
        self.patience = patience

    def _begin(self) -> None:
        super()._begin()
        self.usages: list[Usage] = []
        self._collapsed_for: dict[int, int] = {}
        self._uniform_for = 0
        self._warned: set[str] = set()

    def observe(self, module: ClassificationModule, batches: Iterator[MicroBatch]) -> dict[str, float]:
        """Return the numbers of classes in use and the entropies, means over primary classes."""
        with evaluating(module), torch.no_grad():
            self.usages = measure_usage(*read_labels(module, batches), hierarchy(module))
        telling = [usage for usage in self.usages if usage.tells]
        if not telling:
            self._warn_of_few_images(hierarchy(module))
            return {}
        if getattr(module, "meta_optimizer", None) is not None:
            self._warn_of_uniform_labels(telling)
            self._warn_of_collapse(telling)
        used = [usage.effective for usage in telling]
        return {
            USED: sum(used) / len(used),
            LEAST_USED: min(used),
            LABEL_ENTROPY: sum(usage.mean_entropy for usage in telling) / len(telling),
            IMAGE_ENTROPY: sum(usage.image_entropy for usage in telling) / len(telling),
        }

    def _warn_of_few_images(self, psi: tuple[int, ...]) -> None:
        if max(psi) > 1:
            self._warn_once(
                f"LabelUsage has too few images to tell: it looks at {self.num_images}, fewer than {FEWEST} of each "
                "primary class that is split. Set a larger num_images."
            )

    def _warn_of_uniform_labels(self, usages: list[Usage]) -> None:
        entropy = sum(usage.image_entropy for usage in usages) / len(usages)
        self._uniform_for = self._uniform_for + 1 if entropy > self.uniform_threshold else 0
        if self._uniform_for >= self.patience:
            self._warn_once(
                f"the generated labels stay uniform: for {self._uniform_for} measurements in a row an image's label "
                f"has had {entropy:.1%} of the entropy of a uniform one, and such labels teach nothing about the "
                "images. Try a higher learning rate in meta_optimizer, Adam there, a smaller entropy_weight, or more "
                "epochs."
            )

    def _warn_of_collapse(self, usages: list[Usage]) -> None:
        # where labels are uniform, which class is the most probable one says nothing
        collapsed = {
            usage.primary
            for usage in usages
            if usage.effective < self.collapse_threshold and usage.image_entropy <= self.uniform_threshold
        }
        self._collapsed_for = {primary: self._collapsed_for.get(primary, 0) + 1 for primary in collapsed}
        lasting = sorted(primary for primary, times in self._collapsed_for.items() if times >= self.patience)
        if lasting:
            named = listed([self.names[primary] for primary in lasting], most=5)
            self._warn_once(
                f"the generated labels have collapsed: for {self.patience} measurements in a row nearly all images of "
                f"{named} have had the same auxiliary class, of several that their primary class is split into. "
                "Try a larger entropy_weight, a lower learning rate in meta_optimizer, or a smaller psi."
            )

    def _warn_once(self, message: str) -> None:
        kind = message.split(":")[0]
        if kind not in self._warned:
            self._warned.add(kind)
            rank_zero_warn(message)

    def draw(self, epoch: int) -> Figure:
        """Return two heat maps, primary class × position in its block, and the numbers over epochs."""
        tops, means = [usage.top for usage in self.usages], [usage.mean for usage in self.usages]
        names = [self.names[usage.primary] for usage in self.usages]
        width, height = heat_map_size(tops, names)
        figure = Figure(figsize=(2 * width + 4.5, max(height, 4.5)), layout="constrained")
        maps, curves = cast(list[SubFigure], figure.subfigures(1, 2, width_ratios=(2 * width, 4.5)))
        left, right = maps.subplots(1, 2, sharey=True)
        draw_heat_map(left, tops, names, "most probable class, share of images")
        draw_heat_map(right, means, names, "mean label")
        maps.suptitle(f"Auxiliary classes of each primary class after epoch {epoch}", fontsize="medium")
        upper, lower = curves.subplots(2, 1, sharex=True)
        self.plot(upper, USED, color=COLORS[0], label="mean of primary classes")
        self.plot(upper, LEAST_USED, color=COLORS[1], linestyle="--", label="fewest")
        frame(upper, "auxiliary classes in use (exp of entropy)", "", "classes")
        self.plot(lower, LABEL_ENTROPY, color=COLORS[0], label="of the mean label")
        self.plot(lower, IMAGE_ENTROPY, color=COLORS[1], linestyle="--", label="of an image's label")
        frame(lower, "entropy within the primary class", "epoch", "share of log ψ")
        lower.axhline(1, color="0.6", linewidth=0.8, linestyle=":", label="uniform")
        for axes in (upper, lower):
            axes.legend(frameon=False, fontsize="small")
        return figure
