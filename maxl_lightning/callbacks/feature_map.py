"""The trunk's features in two dimensions, and what the labels make of them."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning_utilities.core.rank_zero import rank_zero_warn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor, nn

from maxl_lightning.callbacks.auxiliary import blocks, hierarchy, soft_labels
from maxl_lightning.callbacks.evaluation import evaluating
from maxl_lightning.callbacks.figures import COLORS
from maxl_lightning.callbacks.picture import Picture
from maxl_lightning.callbacks.sample import Sample
from maxl_lightning.hypergradient import MicroBatch
from maxl_lightning.modules import ClassificationModule

__all__ = ["FeatureMap"]

MARKERS = "osD^"


class FeatureMap(Picture):
    """Draws t-SNE of the trunk's features, coloured by primary class and by auxiliary label within the class.

    Without an auxiliary task there is the first panel alone. t-SNE takes a second or two for 500 images, hence few
    pictures; it starts from principal components and a fixed seed.

    Args:
        every_n_epochs: epochs from one picture to the next; the last epoch gets one in any case.
        num_images: images to map.
        perplexity: of t-SNE, about how many neighbours count; at most a third of the images.
        features: name of the network's part whose output is mapped, for example ``trunk``; None stands for the
            network's method ``features(x)``.
        options: of :class:`~maxl_lightning.callbacks.picture.Picture`.

    Raises:
        ValueError: if an argument is out of its range.
        MisconfigurationException: if the network does not tell its features.
    """

    needs_auxiliary_task = False

    def __init__(
        self,
        every_n_epochs: int = 50,
        num_images: int = 500,
        perplexity: float = 30.0,
        features: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(every_n_epochs=every_n_epochs, num_images=num_images, **options)
        if perplexity <= 0:
            raise ValueError(f"perplexity is {perplexity}: use a positive number.")
        self.perplexity = perplexity
        self.features = features

    def check(self, module: ClassificationModule, sample: Sample) -> None:
        """Refuse a network whose features are not to be had, and samples too small to map.

        Raises:
            MisconfigurationException: saying what to do instead.
        """
        if len(sample.indices) < 5:
            raise MisconfigurationException(f"FeatureMap needs at least 5 images, and has {len(sample.indices)}.")
        self._extractor(module.network)

    def _extractor(self, network: nn.Module) -> Any:
        name = type(network).__name__
        if self.features is None:
            if callable(method := getattr(network, "features", None)):
                return method
            raise MisconfigurationException(
                f"{name} has no method features(x): set features to the name of the part whose output FeatureMap shall "
                f"map, one of {', '.join(n for n, _ in network.named_children())} or a part of these."
            )
        try:
            part = network.get_submodule(self.features)
        except AttributeError as error:
            raise MisconfigurationException(f"FeatureMap: {name} has no part {self.features!r}: {error}.") from error
        return lambda x: _output_of(part, network, x)

    def observe(self, module: ClassificationModule, batches: Iterator[MicroBatch]) -> dict[str, float]:
        """Read features, primary classes and labels."""
        features, primary, labels = [], [], []
        with evaluating(module), torch.no_grad():
            extract = self._extractor(module.network)
            for batch in batches:
                features.append(_flat(extract(batch.x)))
                primary.append(batch.y.cpu())
                if hasattr(module, "psi"):
                    labels.append(soft_labels(module, batch))
        self.observed, self.primary = torch.cat(features), torch.cat(primary)
        self.positions = _positions(torch.cat(labels), self.primary, hierarchy(module)) if labels else None
        return {}

    def draw(self, epoch: int) -> Figure:
        """Return the map, once or twice."""
        points = embed(self.observed, self.perplexity)
        panels = 1 if self.positions is None else 2
        figure = Figure(figsize=(5 * panels + 0.1 * max(map(len, self.names)) + 1, 5.2), layout="constrained")
        axes = figure.subplots(1, panels, squeeze=False)[0]
        _scatter(axes[0], points, self.primary, self.names, "primary class")
        if self.positions is not None:
            names = [str(position + 1) for position in range(int(self.positions.max()) + 1)]
            _scatter(axes[1], points, self.positions, names, "auxiliary label: position in the class's block")
        figure.suptitle(f"t-SNE of the trunk's features of {len(points)} images, after epoch {epoch}")
        return figure


def embed(features: Tensor, perplexity: float) -> NDArray[np.float32]:
    """Return t-SNE's two coordinates of every image, ``(N, 2)``, always the same for the same features.

    Args:
        features: ``(N, d)``; where they are not finite, as after training has diverged, all points are at 0.
        perplexity: about how many neighbours count; lowered to a third of N where it is more.
    """
    if not features.isfinite().all():
        rank_zero_warn("FeatureMap: the trunk's features are not finite, so there is nothing to map.")
        return np.zeros((len(features), 2), dtype=np.float32)
    from sklearn.manifold import TSNE  # slow to import, and needed now and then only

    fitting = min(perplexity, (len(features) - 1) / 3)
    init = "pca" if min(features.shape) >= 2 else "random"
    # if all features are equal, as of a dead trunk, scikit-learn divides by 0 and then crashes the process
    noise = torch.randn(features.shape, generator=torch.Generator().manual_seed(0))
    apart = features + 1e-4 * (features.std() or 1.0) * noise
    points: NDArray[np.float32] = TSNE(perplexity=fitting, init=init, random_state=0).fit_transform(apart.numpy())
    return points


def _positions(labels: Tensor, primary: Tensor, psi: tuple[int, ...]) -> Tensor:
    """Return the most probable class within the block of each image's primary class, ``(N,)``."""
    every_block = blocks(psi)
    tops = [labels[number, every_block[c]].argmax() for number, c in enumerate(primary.tolist())]
    return torch.stack(tops)


def _flat(features: Tensor) -> Tensor:
    """Return features as ``(N, d)`` on the CPU, the mean over positions if they form a map."""
    flat = features.mean(dim=(2, 3)) if features.ndim == 4 else features.flatten(1)
    return flat.detach().to("cpu", torch.float32)


def _output_of(part: nn.Module, network: nn.Module, x: Tensor) -> Tensor:
    seen: list[Tensor] = []
    handle = part.register_forward_hook(lambda module, inputs, output: seen.append(output))
    try:
        network(x)
    finally:
        handle.remove()
    return seen[-1]


def _scatter(axes: Axes, points: NDArray[np.float32], classes: Tensor, names: Sequence[str], title: str) -> None:
    """Draw points in the colour and with the mark of their class; beyond 28 classes in a scale of colours."""
    axes.set_title(title, fontsize="medium")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_box_aspect(1)
    if len(names) > len(COLORS) * len(MARKERS):
        drawn = axes.scatter(points[:, 0], points[:, 1], c=(classes + 1).numpy(), s=14, cmap="viridis")
        axes.figure.colorbar(drawn, ax=axes, label="number, from 1", shrink=0.8)
        return
    for number, name in enumerate(names):
        own = points[(classes == number).numpy()]
        marker, color = MARKERS[number // len(COLORS)], COLORS[number % len(COLORS)]
        axes.scatter(own[:, 0], own[:, 1], s=14, marker=marker, color=color, alpha=0.8, linewidths=0, label=name)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize="small", frameon=False, handletextpad=0.1)
