"""Whether there are enough training images of each primary class."""

from collections.abc import Sequence

from torch import Tensor

__all__ = ["check_images_per_class"]


def check_images_per_class(targets: Tensor, class_names: Sequence[str], psi: Sequence[int] | None) -> None:
    """Refuse a primary class that cannot be learned, or that cannot fill its auxiliary classes.

    Training would accept both: the network would never predict the class, or some auxiliary classes could be
    no image's.

    Args:
        targets: primary classes of the training images, int64 ``(N,)``.
        class_names: names of the C primary classes.
        psi: the hierarchy ψ, C numbers of auxiliary classes, or None.

    Raises:
        ValueError: naming the first such class.
    """
    for number, images in enumerate(targets.bincount(minlength=len(class_names)).tolist()):
        name = class_names[number]
        if not images:
            raise ValueError(
                f"there is no training image of the class {name!r} (number {number} of {len(class_names)} classes): "
                "add images of it, train on more of them (num_train), or leave the class out."
            )
        if psi is not None and psi[number] > images:
            raise ValueError(
                f"psi asks for {psi[number]} auxiliary classes of the class {name!r}, but there are only {images} "
                "training images of it: choose a smaller psi, or train on more images (num_train)."
            )
