"""Random numbers that depend on a key alone.

A resumed run, a run with another number of workers and a run on another number of processes must all show the
network the same images. So nothing here draws from the global generator: what is drawn for an image is a
function of (seed, epoch, index).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

__all__ = ["derive_seed", "seeded"]


def derive_seed(seed: int, *key: int) -> int:
    """Return a seed for one place in a run, for instance for ``(epoch, index)``.

    Sums such as seed + epoch would give epoch 1 of seed 0 the numbers of epoch 0 of seed 1, so the parts are
    hashed; a shorter key is never a prefix of a longer one.

    Args:
        seed: the run's seed, at least 0.
        *key: whole numbers of at least 0.

    Returns:
        A number between 0 and 2³² − 1; torch's CPU generator reads no more bits of a seed.

    >>> derive_seed(0, 1) == derive_seed(1, 0)
    False
    """
    return int(np.random.SeedSequence(seed, spawn_key=key).generate_state(1)[0])


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's CPU generator inside the block and put its state back afterwards.

    Torch alone is enough: torchvision's v2 transforms use neither Python's nor NumPy's generator.
    ``torch.manual_seed`` would also reseed the accelerator, whose state is not put back here.

    Args:
        seed: what the generator is seeded with.

    >>> with seeded(3):
    ...     first = torch.rand(2)
    >>> with seeded(3):
    ...     second = torch.rand(2)
    >>> bool((first == second).all())
    True
    """
    state = torch.default_generator.get_state()
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.default_generator.set_state(state)
