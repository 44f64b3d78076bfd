"""An independent reference: the definition of MAXL's objective, unrolled with ordinary autograd.

Nothing of the package is used. Losses, clipping and optimiser updates are written out from their definitions,
the look-ahead keeps its graph, and the gradient for θ2 is taken straight through it.
"""

import math

import torch
from torch.func import functional_call


def focal(logits, target, gamma):
    p = torch.softmax(logits, dim=1)
    if target.ndim == 1:
        target = torch.eye(logits.shape[1], dtype=logits.dtype)[target]
    return -(target * (1 - p) ** gamma * torch.log(p)).sum(1)


def negative_entropy(m):
    m = m[m > 0]
    return (m * m.log()).sum()


def root(s):
    """√s with slope 0 where s is 0, as the method defines it for elements no gradient ever reached."""
    return torch.where(s > 0, torch.where(s > 0, s, 1.0).sqrt(), 0.0)


def sgd(p, g, group, state):
    d = g + group["weight_decay"] * p
    if group["momentum"]:
        old = state.get("momentum_buffer")
        buffer = d if old is None else group["momentum"] * old + (1 - group["dampening"]) * d
        d = d + group["momentum"] * buffer if group["nesterov"] else buffer
    return p - group["lr"] * d


def adam(p, g, group, state, decoupled):
    b1, b2 = group["betas"]
    k = int(state["step"]) + 1 if state else 1
    m, s = (state["exp_avg"], state["exp_avg_sq"]) if state else (torch.zeros_like(p), torch.zeros_like(p))
    if decoupled:
        p = p - group["lr"] * group["weight_decay"] * p
    else:
        g = g + group["weight_decay"] * p
    m, s = b1 * m + (1 - b1) * g, b2 * s + (1 - b2) * g**2
    return p - group["lr"] / (1 - b1**k) * m / (root(s) / math.sqrt(1 - b2**k) + group["eps"])


def rmsprop(p, g, group, state):
    old = state["square_avg"] if state else torch.zeros_like(p)
    s = group["alpha"] * old + (1 - group["alpha"]) * g**2
    return p - group["lr"] * g / (root(s) + group["eps"])


UPDATES = {
    "SGD": sgd,
    "Adam": lambda *a: adam(*a, decoupled=False),
    "AdamW": lambda *a: adam(*a, decoupled=True),
    "RMSprop": rmsprop,
}


def clip(gradient, limit, algorithm):
    if limit is None:
        return gradient
    if algorithm == "value":
        return {n: g.clamp(-limit, limit) for n, g in gradient.items()}
    norm = torch.sqrt(sum((g**2).sum() for g in gradient.values()))
    scale = (limit / (norm + 1e-6)).clamp(max=1)
    return {n: g * scale for n, g in gradient.items()}


def look_ahead(network, optimizer, gradient, kind):
    names = {p: n for n, p in network.named_parameters()}
    ahead = {n: p.detach() for n, p in network.named_parameters()}
    for group in optimizer.param_groups:
        for p in group["params"]:
            g = gradient[names[p]]
            if kind == "sgd":
                ahead[names[p]] = p.detach() - group["lr"] * g
            else:
                update = UPDATES[type(optimizer).__name__]
                ahead[names[p]] = update(p.detach(), g, group, optimizer.state.get(p, {}))
    return ahead


def objective(
    network,
    generator,
    theta2,
    optimizer,
    batch,
    outer_batch=None,
    gamma=2.0,
    weight=1.0,
    entropy=0.2,
    limit=None,
    algorithm="norm",
    lookahead="optimizer",
):
    """L_pri(θ1⁺) + λH as a differentiable function of ``theta2``."""
    (x, y), (x_outer, y_outer) = batch, outer_batch or batch
    buffers = lambda module: {n: b.clone() for n, b in module.named_buffers()}  # noqa: E731
    labels = functional_call(generator, {**theta2, **buffers(generator)}, (x, y))
    theta1 = {n: p.detach().requires_grad_() for n, p in network.named_parameters()}
    primary, auxiliary = functional_call(network, {**theta1, **buffers(network)}, (x,))
    inner = (focal(primary, y, gamma) + weight * focal(auxiliary, labels, gamma)).mean()
    gradient = dict(zip(theta1, torch.autograd.grad(inner, list(theta1.values()), create_graph=True), strict=True))
    ahead = look_ahead(network, optimizer, clip(gradient, limit, algorithm), lookahead)
    if lookahead == "none":  # first order around θ1: v is taken there, and held
        at = {n: p.detach().requires_grad_() for n, p in network.named_parameters()}
        loss = focal(functional_call(network, {**at, **buffers(network)}, (x_outer,))[0], y_outer, gamma).mean()
        v = dict(zip(at, torch.autograd.grad(loss, list(at.values()), materialize_grads=True), strict=True))
        outer = sum((ahead[n] * v[n]).sum() for n in ahead)
    else:
        outer = focal(functional_call(network, {**ahead, **buffers(network)}, (x_outer,))[0], y_outer, gamma).mean()
    return outer + entropy * negative_entropy(labels.mean(0))


def hypergradient(network, generator, optimizer, batch, **options):
    theta2 = {n: p.detach().requires_grad_() for n, p in generator.named_parameters()}
    value = objective(network, generator, theta2, optimizer, batch, **options)
    gradient = torch.autograd.grad(value, list(theta2.values()), materialize_grads=True)
    return dict(zip(theta2, gradient, strict=True))
