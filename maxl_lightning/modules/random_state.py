"""Every process's random-number state in the checkpoint, so that a resumed run draws what it would have drawn."""

import random
from typing import Any

import numpy as np
import torch
from lightning_utilities.core.rank_zero import rank_zero_warn


def collect_random_state() -> dict[str, Any]:
    """Return this process's states as tensors and plain values, which load with ``weights_only=True``."""
    _, keys, position, has_gauss, gauss = np.random.get_state()  # noqa: NPY002 - users' transforms draw from it
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
        "numpy": (torch.from_numpy(np.asarray(keys, dtype=np.int64)), int(position), int(has_gauss), float(gauss)),
        "python": random.getstate(),
    }


def restore_random_state(state: dict[str, Any]) -> None:
    """Set this process's states to what ``collect_random_state`` returned."""
    torch.set_rng_state(state["torch"].cpu())
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"].cpu())
    keys, *rest = state["numpy"]
    np.random.set_state(("MT19937", keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002 - as above
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))


def gather_random_states() -> list[dict[str, Any]]:
    """Return the states of all processes, by rank."""
    state = collect_random_state()
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return [state]
    states: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(states, state)
    return states


def restore_own_random_state(states: list[dict[str, Any]], rank: int, world_size: int) -> None:
    """Restore this rank's state, unless the number of processes has changed since."""
    if len(states) == world_size:
        restore_random_state(states[rank])
    else:
        rank_zero_warn(
            f"the checkpoint was written by {len(states)} processes and is resumed by {world_size}: random-number "
            "states are not restored, so the run goes on but not bit for bit."
        )
