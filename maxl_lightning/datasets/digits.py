"""The handwritten digits that come with scikit-learn: real images that need no download."""

from collections.abc import Sequence
from typing import Literal

import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.utils.data import Dataset

__all__ = ["Digits", "DigitsTask"]

DigitsTask = Literal["parity", "digit"]


class Digits(Dataset[tuple[Tensor, int]]):
    """1,797 handwritten digits of 8×8 pixels, told apart by parity or by digit.

    Parity with the digits as sub-classes is a hierarchy in small: 2 primary classes of 5 digits each, so a
    whole comparison of methods runs in seconds.

    Source: Alpaydin and Kaynak, *Optical Recognition of Handwritten Digits*, UCI, 1998 (its test part).

    Args:
        task: "parity" (even or odd, 2 classes) or "digit" (10 classes).
        indices: which of the 1,797 images to keep; None keeps all.

    Attributes:
        images: grey values between 0 and 1, float32 ``(N, 1, 8, 8)``.
        digits: int64 ``(N,)``.
        targets: primary classes, int64 ``(N,)``.

    Raises:
        ValueError: if there is no such task.

    >>> len(Digits())
    1797
    """

    def __init__(self, task: DigitsTask = "parity", indices: Sequence[int] | Tensor | None = None) -> None:
        if task not in ("parity", "digit"):
            raise ValueError(f'task is {task!r}: choose "parity" or "digit".')
        self.task = task
        bunch = load_digits()
        kept = slice(None) if indices is None else torch.as_tensor(indices)
        self.images = torch.tensor(bunch.images, dtype=torch.float32).div(16).unsqueeze(1)[kept]
        self.digits = torch.tensor(bunch.target, dtype=torch.int64)[kept]
        self.targets = self.digits % 2 if task == "parity" else self.digits

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.images[index], int(self.targets[index])

    def finer_targets(self, num_auxiliary: int = 10) -> Tensor:
        """Return the digit of every image, numbered so that the even digits are classes 0 to 4.

        Args:
            num_auxiliary: 10, the only finer level there is.

        Returns:
            Class indices, int64 ``(N,)``; they fit ψ = (5, 5).

        Raises:
            ValueError: for another number, or if the digits are the primary classes already.
        """
        if self.task != "parity" or num_auxiliary != 10:
            raise ValueError(
                f'task="{self.task}" has no level of {num_auxiliary} finer classes: '
                'only task="parity" has one, of 10 classes.'
            )
        return 5 * (self.digits % 2) + self.digits // 2
