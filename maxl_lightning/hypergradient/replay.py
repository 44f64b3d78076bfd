"""Running a module once more exactly as it ran before, without leaving a trace."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from maxl_lightning.hypergradient.types import Tensors


@contextmanager
def isolated_random_state(device: torch.device, state: tuple[Tensor, ...] | None = None) -> Iterator[None]:
    """Run a block with its own random-number state on the CPU and on ``device``.

    Args:
        device: where the block computes.
        state: where the block's random numbers start, from ``random_state``; the current state if not given.
    """
    devices = [] if device.type == "cpu" else [device]
    with torch.random.fork_rng(devices, device_type=device.type if devices else "cuda"):
        if state is not None:
            torch.set_rng_state(state[0])
            if devices:
                torch.get_device_module(device).set_rng_state(state[1], device)
        yield


def random_state(device: torch.device) -> tuple[Tensor, ...]:
    """Return the random-number state of the CPU and, if it is another, of ``device``."""
    if device.type == "cpu":
        return (torch.get_rng_state(),)
    return torch.get_rng_state(), torch.get_device_module(device).get_rng_state(device)


class Replay:
    """Remembers what a module's next pass will see besides its input: its buffers and the random numbers.

    A later call then has the same dropout masks and starts from the same running statistics, and changes neither
    the module's buffers nor the random-number state.

    Args:
        module: about to run.
        device: where it runs.
    """

    def __init__(self, module: nn.Module, device: torch.device) -> None:
        self.module, self.device = module, device
        self.buffers = copied_buffers(module)
        self.random_state = random_state(device)

    def __call__(self, parameters: Mapping[str, Tensor], *inputs: Tensor) -> Any:
        """Return what the module gives with these parameters in place of its own."""
        buffers = {name: buffer.clone() for name, buffer in self.buffers.items()}
        with isolated_random_state(self.device, self.random_state):
            return functional_call(self.module, {**parameters, **buffers}, inputs)


def trainable_parameters(module: nn.Module) -> Tensors:
    """Return the parameters that require a gradient."""
    return {name: p for name, p in module.named_parameters() if p.requires_grad}


def trainable(module: nn.Module) -> Tensors:
    """Return the values of the parameters that require a gradient, detached."""
    return {name: p.detach() for name, p in trainable_parameters(module).items()}


def copied_buffers(module: nn.Module) -> Tensors:
    """Return a copy of every buffer."""
    return {name: buffer.clone() for name, buffer in module.named_buffers()}


@contextmanager
def unchanged(*modules: nn.Module, device: torch.device) -> Iterator[None]:
    """Put the modules' buffers and the random-number state back after a block."""
    saved = [copied_buffers(module) for module in modules]
    try:
        with isolated_random_state(device):
            yield
    finally:
        with torch.no_grad():
            for module, buffers in zip(modules, saved, strict=True):
                for name, buffer in module.named_buffers():
                    buffer.copy_(buffers[name])
