"""What a Trainer, a network and a batch must be like; each refusal says what to do instead."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import DDPStrategy, DeepSpeedStrategy, SingleDeviceStrategy
from torch import Tensor, nn

from maxl_lightning.datasets.seeding import derive_seed, seeded


def check_trainer(trainer: Trainer) -> None:
    """Refuse Trainer flags that manual optimisation or the hypergradient cannot honour.

    Raises:
        MisconfigurationException: naming the flag and its replacement.
    """
    if trainer.gradient_clip_val:
        raise MisconfigurationException(
            f"Trainer(gradient_clip_val={trainer.gradient_clip_val}) has no effect in manual optimisation: remove it "
            f"and set gradient_clip_val={trainer.gradient_clip_val} on the model, so that the look-ahead sees the "
            "clipped step too."
        )
    if trainer.accumulate_grad_batches != 1:
        raise MisconfigurationException(
            f"Trainer(accumulate_grad_batches={trainer.accumulate_grad_batches}) has no effect in manual optimisation: "
            f"remove it and set accumulate_grad_batches={trainer.accumulate_grad_batches} on the model."
        )
    if trainer.precision == "16-mixed":
        raise MisconfigurationException(
            "precision='16-mixed' needs loss scaling, which gradients taken by torch.autograd.grad do not get: "
            "use 'bf16-mixed' or '32-true'."
        )
    check_strategy(trainer.strategy)


def check_strategy(strategy: object) -> None:
    """Refuse strategies that shard parameters or own the optimiser.

    Raises:
        MisconfigurationException: for anything but a single device and data-parallel processes.
    """
    # DeepSpeed's strategy is a subclass of DDP's
    if not isinstance(strategy, SingleDeviceStrategy | DDPStrategy) or isinstance(strategy, DeepSpeedStrategy):
        raise MisconfigurationException(
            f"{type(strategy).__name__} is not supported: the look-ahead needs whole parameters and two optimisers, "
            "and sharded strategies are broken with manual optimisation "
            "(https://github.com/Lightning-AI/pytorch-lightning/issues/19685; DeepSpeed takes one optimiser). "
            "Use strategy='ddp' or a single device."
        )


def check_classes(y: Tensor, num_classes: int, what: str = "primary") -> None:
    """Refuse labels that are not class indices.

    Args:
        y: labels ``(N,)``.
        num_classes: number of classes.
        what: what the labels are called in the message.

    Raises:
        ValueError: naming the type, shape or value that does not fit.
    """
    if y.dtype != torch.int64 or y.ndim != 1:
        raise ValueError(
            f"{what} labels must be class indices of type int64 and shape (N,), got {y.dtype} of shape "
            f"{tuple(y.shape)}: convert them with .long(), or override unpack_batch()."
        )
    low, high = (int(value) for value in y.aminmax()) if len(y) else (0, 0)
    if low < 0 or high >= num_classes:
        raise ValueError(
            f"{what} label {low if low < 0 else high} is out of range: there are {num_classes} {what} classes, "
            f"so labels must lie between 0 and {num_classes - 1}."
        )


def resolve_network(
    network: nn.Module | Callable[..., nn.Module], what: str, *arguments: Any, **expected: Any
) -> nn.Module:
    """Return a network, made from ``arguments`` if a factory is given, once it agrees with what is expected.

    What a factory draws depends on torch's seed alone, not on what was drawn before: with one seed, methods that are
    compared start from the same weights, whether a generator was made first or not. Two networks from factories in one
    process are alike, unless torch is seeded anew in between.

    Args:
        network: a module, or a callable that makes one.
        what: the argument's name, for messages.
        arguments: what a factory is called with.
        expected: attributes that the module must have these values of, where it has them at all.

    Raises:
        ValueError: if an attribute differs.
    """
    if isinstance(network, nn.Module):
        module = network
    else:
        with seeded(derive_seed(torch.initial_seed(), *what.encode())):
            module = network(*arguments)
    for name, value in expected.items():
        actual = getattr(module, name, value)
        if (tuple(actual) if isinstance(actual, Sequence) else actual) != value:
            raise ValueError(
                f"{what} was built with {name}={actual}, but the module has {name}={value}: give both the same."
            )
    return module


def first_known(what: str, *values: Any) -> Any:
    """Return the first value that is not ``None``.

    Raises:
        ValueError: if all are, saying how to set it.
    """
    for value in values:
        if value is not None:
            return value
    raise ValueError(
        f"{what} is not known: pass {what}=… to the module (on the command line set data.{what}, or model.{what} if "
        "the data module has none)."
    )
