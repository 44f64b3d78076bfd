"""Every estimator against the definition, in float64."""

import cases
import pytest
import torch
import unrolled
from torch import nn

from maxl_lightning.hypergradient import Estimator, MicroBatch, hypergradient

CLIPPING = {"none": (None, "norm"), "norm": (0.05, "norm"), "loose_norm": (1e3, "norm"), "value": (1e-3, "value")}


def both(trunk, optimizer, method="forward", outer=False, limit=None, algorithm="norm", kind="optimizer", steps=2):
    network, generator, size = cases.networks(trunk)
    made = cases.warm(cases.grouped(cases.OPTIMIZERS[optimizer], network), network, steps, size)
    batch = cases.batch(size=size)
    outer_batch = cases.batch(n=5, size=size, seed=7) if outer else None
    result = hypergradient(
        cases.problem(network, generator, entropy=0.0),  # it would outweigh what is tested, and has a test of its own
        [batch],
        cases.lookahead(made, network, kind, limit, algorithm),
        estimator=Estimator(method),
        outer=None if outer_batch is None else [outer_batch],
    )
    expected = unrolled.hypergradient(
        network, generator, made, batch[:2], outer_batch=outer_batch[:2] if outer else None,
        limit=limit, algorithm=algorithm, lookahead=kind, entropy=0.0,
    )  # fmt: skip
    return result.gradient, expected


@pytest.mark.parametrize("seed", range(3))
def test_definition_agrees_with_central_differences(seed):
    network, generator, _ = cases.networks("smooth", seed=seed)
    cases.smoothen(network, generator)
    optimizer = cases.warm(cases.OPTIMIZERS["momentum"](network.parameters()), network)
    batch = cases.batch(seed=seed)[:2]
    gradient = unrolled.hypergradient(network, generator, optimizer, batch, entropy=0.0)
    theta2 = {n: p.detach() for n, p in generator.named_parameters()}
    torch.manual_seed(seed)
    direction = {n: torch.randn_like(p) for n, p in theta2.items()}

    def value(step):
        moved = {n: p + step * direction[n] for n, p in theta2.items()}
        return unrolled.objective(network, generator, moved, optimizer, batch, entropy=0.0).detach()

    numeric = (8 * (value(1e-3) - value(-1e-3)) - (value(2e-3) - value(-2e-3))) / 12e-3
    analytic = sum((gradient[n] * direction[n]).sum() for n in gradient)
    assert abs(numeric - analytic) < 1e-6 * abs(analytic)


@pytest.mark.parametrize("method", ["forward", "double_backward"])
@pytest.mark.parametrize("optimizer", cases.OPTIMIZERS)
@pytest.mark.parametrize("outer", [False, True], ids=["same", "outer"])
@pytest.mark.parametrize("clipping", CLIPPING)
def test_every_optimizer_and_clipping(method, optimizer, outer, clipping):
    limit, algorithm = CLIPPING[clipping]
    assert cases.distance(*both("smooth", optimizer, method, outer, limit, algorithm)) < 1e-10


@pytest.mark.parametrize("optimizer", ["sgd", "dampening", "nesterov", "adamw", "rmsprop"])
@pytest.mark.parametrize("trunk", ["convnet4", "resnet32"])
def test_every_network(trunk, optimizer):
    assert cases.distance(*both(trunk, optimizer)) < 1e-9


def test_papers_vgg16():
    assert cases.distance(*both("vgg16", "sgd", steps=1)) < 1e-9


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "dampening", "nesterov", "rmsprop"])
def test_first_step_without_state(optimizer):
    assert cases.distance(*both("smooth", optimizer, steps=0)) < 1e-9


@pytest.mark.parametrize("kind", ["sgd", "none"])
@pytest.mark.parametrize("limit", [None, 0.05])
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adamw"])
def test_other_lookaheads(kind, optimizer, limit):
    assert cases.distance(*both("smooth", optimizer, kind=kind, limit=limit)) < 1e-10


def test_lookaheads_differ():
    """The control would be no control if the look-ahead did not matter."""
    ahead, still = both("smooth", "sgd")[0], both("smooth", "sgd", kind="none")[0]
    assert cases.distance(ahead, still) > 1e-3


def test_clipping_gives_the_auxiliary_head_a_tangent():
    free, tight = both("smooth", "sgd")[0], both("smooth", "sgd", limit=0.05)[0]
    scaled = {n: g * (sum((free[m] * tight[m]).sum() for m in free) / sum((free[m] ** 2).sum() for m in free))
              for n, g in free.items()}  # fmt: skip
    assert cases.distance(scaled, tight) > 1e-6


@pytest.mark.parametrize("optimizer", [o for o in cases.OPTIMIZERS if o != "rmsprop"])
@pytest.mark.parametrize("steps", [0, 2])
def test_closed_forms_agree_with_the_optimizers_own_update(optimizer, steps):
    """θ1⁺ is the step really taken, and u the reverse pass through torch's own update."""
    network, _, _ = cases.networks("smooth")
    made = cases.warm(cases.grouped(cases.OPTIMIZERS[optimizer], network), network, steps)
    parameters = {n: p.detach().clone() for n, p in network.named_parameters()}
    torch.manual_seed(3)
    gradient = {n: torch.randn_like(p) * 0.01 for n, p in parameters.items()}
    v = {n: torch.randn_like(p) for n, p in parameters.items()}
    ahead, pullback = cases.lookahead(made, network)(parameters, gradient)
    _, reverse = cases.lookahead(made, network, closed_form=False)(parameters, gradient)
    assert cases.distance(pullback(v), reverse(v)) < 1e-9
    for name, parameter in network.named_parameters():
        parameter.grad = gradient[name]
    made.step()
    taken = {n: p.detach() for n, p in network.named_parameters()}
    step = {n: taken[n] - parameters[n] for n in taken}
    assert cases.distance({n: ahead[n] - parameters[n] for n in taken}, step) < 1e-12


@pytest.mark.parametrize("options", [{"amsgrad": True}, {"maximize": True}, {"amsgrad": True, "weight_decay": 0.1}])
def test_variants_without_closed_form_take_the_reverse_pass(options):
    network, _, _ = cases.networks("smooth")
    made = cases.warm(torch.optim.Adam(network.parameters(), lr=0.01, **options), network)
    parameters = {n: p.detach().clone() for n, p in network.named_parameters()}
    gradient = {n: torch.full_like(p, 0.01) for n, p in parameters.items()}
    ahead, _ = cases.lookahead(made, network)(parameters, gradient)
    for name, parameter in network.named_parameters():
        parameter.grad = gradient[name]
    made.step()
    assert cases.distance(ahead, {n: p.detach() for n, p in network.named_parameters()}) < 1e-12


def test_an_optimizer_that_cannot_be_differentiated_is_refused():
    network, _, _ = cases.networks("smooth")
    with pytest.raises(ValueError, match=r"LBFGS.*lookahead='sgd'"):
        cases.lookahead(torch.optim.LBFGS(network.parameters()), network)


@pytest.mark.parametrize("optimizer", ["sgd", "nesterov", "adam", "adamw"])
@pytest.mark.parametrize("trunk", ["smooth", "convnet4"])
def test_float32_forward_mode_agrees_with_double_backward(trunk, optimizer):
    network, generator, size = cases.networks(trunk, dtype=torch.float32)
    made = cases.warm(cases.OPTIMIZERS[optimizer](network.parameters()), network, size=size)
    batch = cases.batch(n=16, size=size, dtype=torch.float32)
    forward, double = (
        hypergradient(
            cases.problem(network, generator, entropy=0.0),
            [batch],
            cases.lookahead(made, network),
            estimator=Estimator(method),
        ).gradient
        for method in ("forward", "double_backward")
    )
    assert cases.distance(forward, double) < 1e-5


def test_finite_differences_approach_the_definition():
    forward, expected = both("smooth", "sgd", "finite_difference")
    assert cases.distance(forward, expected) < 1e-3


@pytest.mark.parametrize("method", ["forward", "double_backward", "finite_difference"])
@pytest.mark.parametrize("psi", [(3, 1, 2), (1, 1, 1)])
def test_entropy_term(method, psi):
    """Changing λ changes the gradient by exactly the entropy's, with a class that no image of the batch has."""
    network, generator, _ = cases.networks("smooth", psi=psi)
    optimizer = cases.OPTIMIZERS["sgd"](network.parameters())
    x, y, _ = cases.batch()
    batch = MicroBatch(x, torch.where(y == 2, 0, y))
    without, with_ = (
        hypergradient(
            cases.problem(network, generator, entropy=weight), [batch], cases.lookahead(optimizer, network),
            estimator=Estimator(method),
        ).gradient
        for weight in (0.0, 1000.0)
    )  # fmt: skip
    labels = generator(batch.x, batch.y)
    marginal = labels.mean(0)
    entropy = (marginal[marginal > 0] * marginal[marginal > 0].log()).sum() * 1000.0
    expected = dict(
        zip(with_, torch.autograd.grad(entropy, list(generator.parameters()), materialize_grads=True), strict=True)
    )
    difference = {n: with_[n] - without[n] for n in with_}
    assert all(g.isfinite().all() for g in with_.values())
    if psi == (1, 1, 1):  # one class a block: labels cannot move
        assert all(g.abs().max() < 1e-12 for g in with_.values())
    else:
        assert cases.distance(difference, expected) < 1e-9


def test_weights_per_image_need_no_change_here():
    """A generator of labels and weights, and a loss that is not linear in either, by the general cotangent."""
    network, generator, _ = cases.networks("smooth")

    class Weighing(nn.Module):
        def __init__(self):
            super().__init__()
            self.labels, self.weights = generator, nn.Linear(3 * 64, 1).double()

        def forward(self, x, y):
            return self.labels(x, y), torch.sigmoid(self.weights(x.flatten(1)))[:, 0]

    def auxiliary_loss(z, labels, weight):
        smooth = 0.9 * labels**2 + 0.1 / z.shape[1]
        return torch.exp(weight) * -(smooth * z.log_softmax(1)).sum(1)

    weighing = Weighing()
    problem = cases.problem(network, weighing)
    problem = type(problem)(**{**vars(problem), "auxiliary_loss": auxiliary_loss})
    optimizer = cases.OPTIMIZERS["sgd"](network.parameters())
    gradients = {
        method: hypergradient(
            problem, [cases.batch()], cases.lookahead(optimizer, network), estimator=Estimator(method)
        ).gradient
        for method in ("forward", "double_backward")
    }
    assert gradients["forward"]["weights.weight"].abs().max() > 0
    assert cases.distance(gradients["forward"], gradients["double_backward"]) < 1e-10

    x, y, _ = cases.batch()
    theta1 = dict(network.named_parameters())
    primary, auxiliary = network(x)
    labels, weight = weighing(x, y)
    inner = (unrolled.focal(primary, y, 2.0) + auxiliary_loss(auxiliary, labels, weight)).mean()
    inner_gradient = torch.autograd.grad(inner, list(theta1.values()), create_graph=True)
    ahead = {n: p.detach() - 0.1 * g for (n, p), g in zip(theta1.items(), inner_gradient, strict=True)}
    outer = unrolled.focal(torch.func.functional_call(network, ahead, (x,))[0], y, 2.0).mean()
    value = outer + 0.2 * unrolled.negative_entropy(labels.mean(0))
    expected = torch.autograd.grad(value, list(weighing.parameters()))
    assert cases.distance(gradients["forward"], dict(zip(gradients["forward"], expected, strict=True))) < 1e-10
