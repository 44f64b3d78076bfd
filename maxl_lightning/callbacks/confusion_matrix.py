"""Which primary classes are taken for which."""

from collections.abc import Sequence
from typing import Any, cast

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.figure import Figure
from torch import Tensor
from torchmetrics.classification import MulticlassConfusionMatrix

from maxl_lightning.callbacks.figures import percent, publish
from maxl_lightning.callbacks.picture import check_module, finished_epochs
from maxl_lightning.callbacks.sample import find_class_names
from maxl_lightning.datasets.arguments import check_at_least
from maxl_lightning.modules import ClassificationModule

__all__ = ["ConfusionMatrix"]

MOST_WRITTEN = 12
"""Classes up to which cells have their number written in."""


class ConfusionMatrix(Callback):
    """Draws which primary classes are taken for which, over whole validation and test epochs.

    torchmetrics counts, over all processes, and draws; rows are the true classes, each adding up to one. During
    ``fit`` there are pictures ``<name>_val_epoch_NNN.png``, after ``validate`` and ``test`` ``<name>_val.png`` and
    ``<name>_test.png``.

    Args:
        every_n_epochs: epochs from one picture to the next; the last validation gets one in any case. In the
            alternating order an epoch is a pair of passes.
        class_names: names of the primary classes; None stands for the data module's, or else numbers.
        name: of the pictures and their files.

    Attributes:
        counts: by stage, "val" or "test": images of the last such epoch by true and predicted class, int64 ``(C, C)``.

    Raises:
        ValueError: if an argument is out of its range.
    """

    def __init__(
        self, every_n_epochs: int = 20, class_names: list[str] | None = None, name: str = "confusion_matrix"
    ) -> None:
        check_at_least(1, every_n_epochs=every_n_epochs)
        self.every_n_epochs = every_n_epochs
        self.class_names = class_names
        self.name = name
        self.names: tuple[str, ...] = ()
        self.counts: dict[str, Tensor] = {}
        self.metric: MulticlassConfusionMatrix | None = None
        self._counted = self._drawn = 0  # epochs

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Look up the classes' names.

        Raises:
            MisconfigurationException: if the module is none of this package's.
        """
        module = check_module(self, pl_module)
        self._counted = self._drawn = 0
        self.names = find_class_names(self.class_names, trainer, None, module.num_classes)

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to count."""
        module = cast(ClassificationModule, pl_module)
        self.metric = None
        if not trainer.sanity_checking:
            self.metric = MulticlassConfusionMatrix(module.num_classes).to(module.device)

    on_test_epoch_start = on_validation_epoch_start

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Count a batch.

        Raises:
            MisconfigurationException: if the module's step does not return the logits.
        """
        if self.metric is None:
            return
        if not isinstance(outputs, Tensor):
            raise MisconfigurationException(
                f"ConfusionMatrix counts the primary logits that validation_step and test_step return, but those of "
                f"{type(pl_module).__name__} return {type(outputs).__name__}: return the logits there."
            )
        self.metric.update(outputs, cast(ClassificationModule, pl_module).unpack_batch(batch)[1])

    on_test_batch_end = on_validation_batch_end

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add up the processes' counts, and draw them unless an epoch of training has yet to end."""
        if self.metric is None:
            return
        self.counts["val"] = self.metric.compute().cpu()  # asks all processes
        if trainer.state.fn == TrainerFn.FITTING:
            self._counted = finished_epochs(pl_module) or self._counted
        else:
            self._publish(trainer, "val", "validation images")

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add up the processes' counts, and draw them."""
        if self.metric is not None:
            self.counts["test"] = self.metric.compute().cpu()
            self._publish(trainer, "test", "test images")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the last validation, if it is time."""
        if self._counted // self.every_n_epochs > self._drawn // self.every_n_epochs:
            self._publish_epoch(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the last validation, if it has no picture yet."""
        if self._counted > self._drawn:
            self._publish_epoch(trainer)

    def _publish_epoch(self, trainer: Trainer) -> None:
        self._drawn = self._counted
        self._publish(trainer, "val", f"validation images after epoch {self._counted}", self._counted)

    def _publish(self, trainer: Trainer, stage: str, images: str, epoch: int | None = None) -> None:
        if trainer.is_global_zero:
            publish(trainer, draw_confusion(self.counts[stage], self.names, images), f"{self.name}_{stage}", epoch)


def draw_confusion(counts: Tensor, names: Sequence[str], images: str) -> Figure:
    """Return the picture of a confusion matrix.

    Args:
        counts: images by true and predicted class, ``(C, C)``.
        names: of the classes.
        images: what was counted, for the title.
    """
    num_classes = len(names)
    written = num_classes <= MOST_WRITTEN
    shares = counts / counts.sum(dim=1, keepdim=True).clamp_min(1)
    size = max(4.0, min(16.0, 0.55 * num_classes if written else 0.25 * num_classes) + 0.06 * max(map(len, names)))
    figure = Figure(figsize=(size + 0.8, size), layout="constrained")
    axes = figure.add_subplot()
    metric = MulticlassConfusionMatrix(num_classes)
    metric.plot(shares, ax=axes, add_text=written, labels=list(names), cmap="Blues")
    _tidy(axes, shares, min(9.0, 0.6 * 72 * size / num_classes))
    accuracy = float(counts.trace() / counts.sum().clamp_min(1))
    axes.set_title(f"{images.capitalize()}: accuracy {accuracy:.1%}", fontsize="medium")
    return figure


def _tidy(axes: Axes, shares: Tensor, size: float) -> None:
    """Make words fit, whatever the number of classes, and small shares visible where no number tells them."""
    (image,) = axes.images
    image.set_norm(Normalize(0, 1) if axes.texts else PowerNorm(0.5, 0, 1))
    axes.figure.colorbar(image, ax=axes, shrink=0.8, label="share of the true class's images")
    for text, share in zip(axes.texts, shares.flatten().tolist(), strict=False):
        text.set(fontsize=size, text=percent(share) if share else "", color="white" if share > 0.5 else "black")
    axes.xaxis.label.set_fontsize("medium")
    axes.yaxis.label.set_fontsize("medium")
    crowded = sum(len(label.get_text()) for label in axes.get_xticklabels()) > 40
    axes.tick_params("x", labelsize=size, labelrotation=90 if crowded else 0)
    axes.tick_params("y", labelsize=size, labelrotation=0)
