"""Handwritten digits of 8×8 pixels: real images without a download."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from maxl_lightning.datamodules.base import ImageDataModule
from maxl_lightning.datamodules.split import stratified_split
from maxl_lightning.datasets.digits import Digits, DigitsTask
from maxl_lightning.datasets.view import LabelledImages

__all__ = ["DigitsDataModule"]

_NUM_TEST = 597  # a third of the 1,797 images


class DigitsDataModule(ImageDataModule):
    """scikit-learn's digits, with 597 of the 1,797 images as the test set.

    Few training images leave a network room to generalise better, which is what auxiliary labels are for:
    hence 200 by default. The test images depend on ``split_seed`` alone, and every split keeps the share of
    each digit.

    Args:
        task: "parity" (even or odd) or "digit".
        num_workers: processes that load images for each loader; the images are in memory, so 0 is fastest.
        val_fraction: share of the 1,200 other images that is held out for validation.
        num_train: how many of the remaining images to train on; None stands for all of them.
        psi: the hierarchy ψ; None stands for (5, 5), the digits, if the task is parity, and else for none.
        **options: of :class:`ImageDataModule`; ``data_dir`` is not used, the images come with scikit-learn.

    Raises:
        ValueError: if an argument is out of its range.
    """

    mean = (0.3,)
    std = (0.4,)

    def __init__(
        self,
        task: DigitsTask = "parity",
        num_workers: int = 0,
        val_fraction: float = 0.25,
        num_train: int | None = 200,
        psi: int | list[int] | None = None,
        **options: Any,
    ) -> None:
        if task not in ("parity", "digit"):
            raise ValueError(f'task is {task!r}: choose "parity" or "digit".')
        self.task = task
        self.class_names = ("even", "odd") if task == "parity" else tuple(str(digit) for digit in range(10))
        super().__init__(
            num_workers=num_workers,
            val_fraction=val_fraction,
            num_train=num_train,
            psi=[5, 5] if psi is None and task == "parity" else psi,
            **options,
        )

    def train_source(self) -> LabelledImages:
        """Return the 1,200 images that are not for testing."""
        return Digits(self.task, self._parts()[1])

    def test_source(self) -> LabelledImages:
        """Return the 597 test images."""
        return Digits(self.task, self._parts()[0])

    def strata(self, source: LabelledImages) -> Sequence[int] | Tensor:
        """Return the digits, whatever the task: both tasks then have the same splits."""
        return source.digits if isinstance(source, Digits) else super().strata(source)

    def _parts(self) -> tuple[Tensor, Tensor]:
        return stratified_split(Digits().digits, _NUM_TEST, self.split_seed, "the test set")
