"""What the generated labels look like: the numbers that show collapse, and labels that stay uniform."""

import torch
from torch import Tensor
from torch.nn import functional as F

from maxl_lightning.functional import negative_entropy


def label_statistics(labels: Tensor, marginal: Tensor) -> dict[str, Tensor]:
    """Return entropies, confidence and the number of classes in use.

    Args:
        labels: soft labels ``(N, Σψ)``.
        marginal: mean label over the whole batch ``(Σψ,)``.

    Returns:
        ``label_entropy`` of the marginal and ``image_label_entropy``, the mean over images, in nats;
        ``label_confidence``, the mean top probability; ``auxiliary_classes_in_use``, how many classes are the
        most probable one of at least one of the N images.
    """
    confidence, top = labels.max(dim=1)
    used = F.one_hot(top, labels.shape[1]).any(dim=0).sum()
    return {
        "train/label_entropy": -negative_entropy(marginal),
        "train/image_label_entropy": -negative_entropy(labels).mean(),
        "train/label_confidence": confidence.mean(),
        "train/auxiliary_classes_in_use": used.to(torch.float32),
    }
