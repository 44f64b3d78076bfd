"""The look-ahead θ1⁺ = U(θ1, g) and the tangent u = (∂U/∂g)ᵀ v it turns a gradient v at θ1⁺ into.

U is one step of θ1's optimiser. SGD, Adam and AdamW act on each element alone, so that ∂U/∂g is diagonal and
known in closed form; any other optimiser is differentiated by one reverse pass through its own update.
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, Protocol, TypeAlias

import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer

from maxl_lightning.hypergradient.replay import trainable_parameters
from maxl_lightning.hypergradient.types import Pullback, Tensors

Group: TypeAlias = dict[str, Any]
State: TypeAlias = dict[str, Any]
LookaheadKind: TypeAlias = Literal["optimizer", "sgd", "none"]


class Lookahead(Protocol):
    """Maps parameters and their gradient to θ1⁺ and to the pullback v ↦ u."""

    def __call__(self, parameters: Tensors, gradient: Tensors) -> tuple[Tensors, Pullback]:
        """Return θ1⁺ and the pullback."""


Rule: TypeAlias = Callable[[Tensor, Tensor, Group, State], tuple[Tensor, Tensor | float]]
"""(parameter, gradient, group, state) → (parameter after the step, diagonal of ∂U/∂g)."""


def plain_rule(p: Tensor, g: Tensor, group: Group, state: State) -> tuple[Tensor, Tensor | float]:
    """Return the paper's plain gradient step θ − α g and its slope −α."""
    return p - group["lr"] * g, -group["lr"]


def sgd_rule(p: Tensor, g: Tensor, group: Group, state: State) -> tuple[Tensor, Tensor | float]:
    """Return the step of ``torch.optim.SGD`` and its slope.

    The slope is −α(1−τ) with momentum and dampening τ, −α while there is no buffer yet, and −α(1+μ) with
    Nesterov momentum.
    """
    lr, momentum = group["lr"], group["momentum"]
    direction, slope = g, 1.0
    if group["weight_decay"] != 0:
        direction = direction + group["weight_decay"] * p
    if momentum != 0:
        buffer = state.get("momentum_buffer")
        if buffer is None:
            buffer = direction
        else:
            slope = 1.0 - group["dampening"]
            buffer = momentum * buffer + slope * direction
        if group["nesterov"]:
            direction, slope = direction + momentum * buffer, 1.0 + momentum
        else:
            direction = buffer
    return p - lr * direction, -lr * slope


def adam_rule(p: Tensor, g: Tensor, group: Group, state: State) -> tuple[Tensor, Tensor | float]:
    """Return the step of ``torch.optim.Adam`` or ``AdamW`` and its slope.

    With the updated moments m and s, c1 = 1 − β1^k, c2 = 1 − β2^k and D = √s/√c2 + ε the slope is
    −(α/c1) [(1−β1)/D − (1−β2) m d/(√c2 √s D²)], its second term 0 where the moments are.
    """
    lr, (beta1, beta2), decay = group["lr"], group["betas"], group["weight_decay"]
    direction = g
    if decay != 0:
        if group["decoupled_weight_decay"]:
            p = p * (1 - lr * decay)
        else:
            direction = g + decay * p
    step = state.get("step", 0)
    if isinstance(step, Tensor):
        step = step.item() if step.device.type == "cpu" else step.double()  # reading a device would wait for it
    correction1, correction2 = 1 - beta1 ** (step + 1), 1 - beta2 ** (step + 1)
    first, second = state.get("exp_avg", 0.0), state.get("exp_avg_sq", 0.0)
    m = beta1 * first + (1 - beta1) * direction
    root = (beta2 * second + (1 - beta2) * direction**2).sqrt()
    scale = correction2**0.5
    denominator = root / scale + group["eps"]
    bend = torch.where(root > 0, (1 - beta2) * m * direction / (scale * root * denominator**2), 0)
    rate = lr / correction1
    return p - rate * m / denominator, -rate * ((1 - beta1) / denominator - bend)


def closed_form_rule(optimizer: Optimizer) -> Rule | None:
    """Return the closed form of an optimiser's step, or ``None`` where there is none.

    Subclasses count as unknown, since they may have changed the step.
    """
    plain = all(not group.get("amsgrad") and not group.get("maximize") for group in optimizer.param_groups)
    if plain and type(optimizer) is SGD:
        return sgd_rule
    if plain and type(optimizer) in (Adam, AdamW):
        return adam_rule
    return None


class ElementwiseStep:
    """A step whose derivative is diagonal.

    Args:
        optimizer: gives groups and state, read at each call and never changed.
        rule: closed form of the step.
        names: parameter names by parameter.
    """

    def __init__(self, optimizer: Optimizer, rule: Rule, names: dict[Tensor, str]) -> None:
        self.optimizer, self.rule, self.names = optimizer, rule, names

    def __call__(self, parameters: Tensors, gradient: Tensors) -> tuple[Tensors, Pullback]:
        """Return θ1⁺ and the pullback; parameters outside the optimiser stay where they are."""
        ahead, slopes = dict(parameters), dict[str, Tensor | float]()
        for group in self.optimizer.param_groups:
            for parameter in group["params"]:
                name = self.names.get(parameter)
                if name is None or name not in gradient:
                    continue
                state = self.optimizer.state.get(parameter, {})
                ahead[name], slopes[name] = self.rule(parameters[name], gradient[name], group, state)

        def pullback(cotangent: Tensors) -> Tensors:
            return {name: slopes[name] * v for name, v in cotangent.items() if name in slopes}

        return ahead, pullback


class DifferentiableStep:
    """A step differentiated by one reverse pass through the optimiser's own update, on clones.

    Args:
        optimizer: one of torch's with a ``differentiable`` option.
        names: parameter names by parameter.

    Raises:
        ValueError: if the optimiser has no such option.
    """

    def __init__(self, optimizer: Optimizer, names: dict[Tensor, str]) -> None:
        if "differentiable" not in optimizer.defaults:
            raise ValueError(
                f"lookahead='optimizer' cannot differentiate a step of {type(optimizer).__name__}, which has no "
                "'differentiable' option: use SGD, Adam, AdamW or another torch optimiser that has it, or set "
                "lookahead='sgd', the paper's plain gradient step."
            )
        self.optimizer, self.names = optimizer, names

    def __call__(self, parameters: Tensors, gradient: Tensors) -> tuple[Tensors, Pullback]:
        """Return θ1⁺ and the pullback."""
        leaves = {name: g.detach().clone().requires_grad_() for name, g in gradient.items()}
        clones = {p: p.detach().clone() for p in self.names}
        for p, clone in clones.items():
            clone.grad = leaves.get(self.names[p])
        with torch.enable_grad(), _double_scalars():
            self._clone(clones).step()
        stepped = {self.names[p]: clone for p, clone in clones.items() if clone.requires_grad}
        ahead = parameters | {name: p.detach() for name, p in stepped.items()}

        def pullback(cotangent: Tensors) -> Tensors:
            outputs = {name: stepped[name] for name in cotangent if name in stepped}
            tangents = torch.autograd.grad(
                list(outputs.values()),
                list(leaves.values()),
                [cotangent[name] for name in outputs],
                materialize_grads=True,
                retain_graph=True,
            )
            # The square roots of second moments have an infinite slope at zero, where no gradient ever came.
            return {
                n: torch.where(leaves[n] == 0, u.nan_to_num(0, 0, 0), u) for n, u in zip(leaves, tangents, strict=True)
            }

        return ahead, pullback

    def _clone(self, clones: dict[Tensor, Tensor]) -> Optimizer:
        memo: dict[int, Any] = {id(p): clone for p, clone in clones.items()}
        optimizer = copy.deepcopy(self.optimizer, memo)
        for state in optimizer.state.values():
            if isinstance(state.get("step"), Tensor):
                state["step"] = state["step"].double()
        for group in [optimizer.defaults, *optimizer.param_groups]:
            group.update(differentiable=True, foreach=False)
            if "fused" in group:
                group["fused"] = False
            if isinstance(optimizer, SGD):
                self._start_momentum(optimizer, group)
        return optimizer

    @staticmethod
    def _start_momentum(optimizer: SGD, group: Group) -> None:
        """Give SGD a zero buffer: it would detach a first buffer made from the gradient."""
        fresh = [p for p in group.get("params", []) if optimizer.state[p].get("momentum_buffer") is None]
        if group["momentum"] != 0 and fresh:
            group["dampening"] = 0
            for p in fresh:
                optimizer.state[p]["momentum_buffer"] = torch.zeros_like(p)


@contextmanager
def _double_scalars() -> Iterator[None]:
    """Let differentiable optimisers count steps in float64: β2 ** step in float32 is off by 1e-5 at first."""
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(default)


def at_current_parameters(lookahead: Lookahead) -> Lookahead:
    """Return the control without look-ahead: the same tangent map, but v taken at θ1 itself."""

    def stay(parameters: Tensors, gradient: Tensors) -> tuple[Tensors, Pullback]:
        return parameters, lookahead(parameters, gradient)[1]

    return stay


def make_lookahead(
    optimizer: Optimizer,
    network: torch.nn.Module,
    kind: LookaheadKind = "optimizer",
    *,
    closed_form: bool = True,
) -> Lookahead:
    """Return the look-ahead of a network's optimiser.

    Args:
        optimizer: θ1's optimiser; its groups and state are read at each call, never changed.
        network: holds the parameters θ1.
        kind: ``"optimizer"`` (the step the optimiser is about to take), ``"sgd"`` (the paper's plain gradient
            step with each group's rate) or ``"none"`` (v at θ1: the control).
        closed_form: whether closed forms may be used; without them everything goes through the reverse pass,
            which makes an independent check.

    Raises:
        ValueError: if the kind is unknown or the optimiser cannot be differentiated.
    """
    names: dict[Tensor, str] = {p: name for name, p in trainable_parameters(network).items()}
    match kind:
        case "sgd":
            return ElementwiseStep(optimizer, plain_rule, names)
        case "optimizer":
            rule = closed_form_rule(optimizer) if closed_form else None
            return ElementwiseStep(optimizer, rule, names) if rule else DifferentiableStep(optimizer, names)
        case "none":
            return at_current_parameters(make_lookahead(optimizer, network, closed_form=closed_form))
    raise ValueError(f"lookahead is {kind!r}: use 'optimizer', 'sgd' or 'none'.")


def clipped(clipping: Callable[[Tensors], tuple[Tensors, Pullback]], lookahead: Lookahead) -> Lookahead:
    """Return the look-ahead of a step that clips the gradient first."""

    def step(parameters: Tensors, gradient: Tensors) -> tuple[Tensors, Pullback]:
        limited, clip_pullback = clipping(gradient)
        ahead, step_pullback = lookahead(parameters, limited)
        return ahead, lambda v: clip_pullback(step_pullback(v))

    return step
