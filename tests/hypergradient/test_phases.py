"""Micro-batches, processes, dropout, fall-backs, and no trace left behind."""

import copy
import threading

import cases
import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from maxl_lightning.hypergradient import Estimator, MicroBatch, hypergradient
from maxl_lightning.networks import LabelGenerator, MultiTaskNetwork

METHODS = ["forward", "double_backward", "finite_difference"]


def split(batch, *sizes):
    return [MicroBatch(x, y) for x, y in zip(batch.x.split(sizes), batch.y.split(sizes), strict=True)]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("limit", [None, 0.05])
@pytest.mark.parametrize("entropy", [0.0, 0.2])
def test_micro_batches_equal_one_batch(method, limit, entropy):
    network, generator, _ = cases.networks("smooth")
    optimizer = cases.warm(cases.OPTIMIZERS["momentum"](network.parameters()), network)
    batch = cases.batch(n=9)
    whole, parts = (
        hypergradient(
            cases.problem(network, generator, entropy=entropy), batches,
            cases.lookahead(optimizer, network, limit=limit), estimator=Estimator(method),
        )
        for batches in ([batch], split(batch, 4, 2, 3))
    )  # fmt: skip
    assert cases.distance(parts.gradient, whole.gradient) < (1e-6 if method == "finite_difference" else 1e-12)
    assert abs(parts.loss - whole.loss) < 1e-12


def test_micro_batches_are_not_a_sum():
    """The claim the phases rest on: averaging the hypergradients of parts gives something else."""
    network, generator, _ = cases.networks("smooth")
    optimizer = cases.OPTIMIZERS["sgd"](network.parameters())
    problem, lookahead = cases.problem(network, generator, entropy=0.0), cases.lookahead(optimizer, network)
    batch = cases.batch(n=8)
    whole = hypergradient(problem, [batch], lookahead).gradient
    parts = [hypergradient(problem, [part], lookahead).gradient for part in split(batch, 4, 4)]
    assert cases.distance({n: (parts[0][n] + parts[1][n]) / 2 for n in whole}, whole) > 1e-2


def test_outer_micro_batches():
    network, generator, _ = cases.networks("smooth")
    lookahead = cases.lookahead(cases.OPTIMIZERS["sgd"](network.parameters()), network)
    outer = cases.batch(n=7, seed=5)
    whole, parts = (
        hypergradient(
            cases.problem(network, generator, entropy=0.0), [cases.batch()], lookahead, outer=batches
        ).gradient
        for batches in ([outer], split(outer, 3, 4))
    )
    assert cases.distance(parts, whole) < 1e-12


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rerun", [False, True])
def test_no_trace(method, rerun):
    network, generator, size = cases.networks("convnet4")
    for module in (network, generator):
        module.trunk.register_module("dropout", nn.Dropout(0.3))
        module.trunk.register_forward_hook(lambda trunk, _, output: trunk.dropout(output))
    optimizer = cases.warm(cases.OPTIMIZERS["adam"](network.parameters()), network, size=size)
    for p in [*network.parameters(), *generator.parameters()]:
        p.grad = torch.full_like(p, 2.0)
    modules = nn.ModuleList([network, generator])
    before = {n: t.clone() for n, t in [*modules.named_parameters(), *modules.named_buffers()]}
    state = {k: {n: torch.as_tensor(t).clone() for n, t in s.items()} for k, s in optimizer.state.items()}
    random = torch.get_rng_state()
    problem = cases.problem(network, generator, entropy=0.0, rerun_generator=rerun)
    hypergradient(problem, [cases.batch(size=size)], cases.lookahead(optimizer, network), estimator=Estimator(method))
    assert torch.equal(random, torch.get_rng_state())
    for name, tensor in [*modules.named_parameters(), *modules.named_buffers()]:
        assert torch.equal(before[name], tensor), name
    assert all((p.grad == 2.0).all() for p in modules.parameters())
    for parameter, values in optimizer.state.items():
        assert all(torch.equal(torch.as_tensor(t), state[parameter][n]) for n, t in values.items())


def test_no_trace_after_an_error():
    network, generator, size = cases.networks("convnet4")
    before = [b.clone() for b in network.buffers()]
    random = torch.get_rng_state()

    def fails(parameters, gradient):
        raise KeyError("stop")

    with pytest.raises(KeyError, match="stop"):
        hypergradient(cases.problem(network, generator, entropy=0.0), [cases.batch(size=size)], fails)
    assert all(torch.equal(a, b) for a, b in zip(before, network.buffers(), strict=True))
    assert torch.equal(random, torch.get_rng_state())


@pytest.mark.parametrize("rerun", [False, True])
def test_dropout_masks_are_shared(rerun):
    """Forward mode and double backward replay the masks of the inner pass, so that they agree to rounding."""
    network, generator, _ = cases.networks("dropout")
    lookahead = cases.lookahead(cases.OPTIMIZERS["sgd"](network.parameters()), network)
    results = []
    for method in ("forward", "double_backward"):
        torch.manual_seed(11)
        problem = cases.problem(network, generator, entropy=0.0, rerun_generator=rerun)
        batches = split(cases.batch(n=8), 5, 3)
        results.append(hypergradient(problem, batches, lookahead, estimator=Estimator(method)).gradient)
    assert cases.distance(*results) < 1e-12


def test_dropout_masks_are_those_of_the_inner_pass():
    """The tangent pass sees the masks of the ordinary pass, which come after the generator's."""
    network, generator, _ = cases.networks("dropout")
    seen = []
    network.trunk.net[7].register_forward_hook(lambda _, args, out: seen.append((out == 0).flatten()))
    lookahead = cases.lookahead(cases.OPTIMIZERS["sgd"](network.parameters()), network)
    hypergradient(
        cases.problem(network, generator, entropy=0.0), [cases.batch()], lookahead, estimator=Estimator("forward")
    )
    inner, ahead, tangent = seen
    assert torch.equal(inner, tangent)
    assert not torch.equal(inner, ahead)


@pytest.mark.parametrize("trunk", ["convnet4", "dropout"])
def test_rerunning_the_generator_gives_the_same(trunk):
    network, generator, size = cases.networks(trunk)
    lookahead = cases.lookahead(cases.OPTIMIZERS["sgd"](network.parameters()), network)
    results = []
    for rerun in (False, True):
        torch.manual_seed(5)
        problem = cases.problem(network, generator, entropy=0.0, rerun_generator=rerun)
        results.append(hypergradient(problem, [cases.batch(size=size)], lookahead).gradient)
    assert cases.distance(*results) < 1e-12


@pytest.mark.parametrize("entropy", [0.0, 0.2])
def test_two_processes_equal_one(entropy):
    """Two processes, played by two threads of phases that meet in the reduction, with uneven shares."""
    network, generator, _ = cases.networks("smooth")
    optimizer = cases.OPTIMIZERS["momentum"](network.parameters())
    batch = cases.batch(n=9)
    whole = hypergradient(
        cases.problem(network, generator, entropy=entropy), [batch], cases.lookahead(optimizer, network, limit=0.05)
    )
    barrier, shares, results = threading.Barrier(2), [None, None], [None, None]

    def process(rank, part):
        def reduce(tensors, weight):
            shares[rank] = (tensors, weight)
            barrier.wait()
            total = sum(w for _, w in shares)
            averaged = [sum(t * w for t, w in zip(ts, (w for _, w in shares), strict=True)) / total
                        for ts in zip(*(t for t, _ in shares), strict=True)]  # fmt: skip
            barrier.wait()
            return averaged

        net, gen = copy.deepcopy(network), copy.deepcopy(generator)
        own = cases.OPTIMIZERS["momentum"](net.parameters())
        problem, lookahead = cases.problem(net, gen, entropy=entropy), cases.lookahead(own, net, limit=0.05)
        estimator = Estimator("double_backward")  # forward mode is one a process: two threads cannot both be in it
        batches = split(part, 2, len(part.y) - 2)
        results[rank] = hypergradient(problem, batches, lookahead, estimator=estimator, reduce=reduce)

    threads = [threading.Thread(target=process, args=(r, p)) for r, p in enumerate(split(batch, 4, 5))]
    [t.start() for t in threads]
    [t.join() for t in threads]
    for result in results:
        assert cases.distance(result.gradient, whole.gradient) < 1e-12
        assert abs(result.loss - whole.loss) < 1e-12


class Layer(nn.Module):
    """A smooth trunk that ends in a layer under test."""

    def __init__(self, layer):
        super().__init__()
        self.front, self.layer, self.out_features = cases.SmoothTrunk(), layer, 8

    def forward(self, x):
        return self.layer(self.front(x))


class Square(torch.autograd.Function):
    """A custom function with a backward pass that can be differentiated, and no forward rule."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**2

    @staticmethod
    def backward(ctx, g):
        return 2 * ctx.saved_tensors[0] * g


class Attention(nn.Module):
    def forward(self, x):
        tokens = x.unflatten(1, (1, 4, 2))
        return nn.functional.scaled_dot_product_attention(tokens, tokens, tokens).flatten(1)


class Custom(nn.Module):
    def forward(self, x):
        return Square.apply(x)


LAYERS = {
    "weight_norm": (lambda: weight_norm(nn.Linear(8, 8)), "double_backward"),
    "custom_function": (Custom, "double_backward"),
    "fused_attention": (Attention, "finite_difference"),
    "linear": (lambda: nn.Linear(8, 8), "forward"),
}


@pytest.mark.parametrize("layer", LAYERS)
def test_auto_falls_back_where_a_layer_has_no_rule(layer):
    make, ends_at = LAYERS[layer]
    torch.manual_seed(0)
    network = MultiTaskNetwork(3, cases.PSI, Layer(make())).double()
    generator = LabelGenerator(3, cases.PSI, cases.SmoothTrunk()).double()
    lookahead = cases.lookahead(cases.OPTIMIZERS["sgd"](network.parameters()), network)
    said = []
    estimator = Estimator("auto", warn=said.append)
    for _ in range(2):
        gradient = hypergradient(
            cases.problem(network, generator, entropy=0.0), [cases.batch()], lookahead, estimator=estimator
        ).gradient
    assert estimator.active == ends_at
    assert len(said) == {"forward": 0, "double_backward": 1, "finite_difference": 2}[ends_at]
    assert all("falling back" in text for text in said)
    assert (estimator.reason is None) == (ends_at == "forward")
    assert all(g.isfinite().all() for g in gradient.values())
    if ends_at != "forward":
        with pytest.raises((NotImplementedError, RuntimeError)):
            hypergradient(
                cases.problem(network, generator, entropy=0.0),
                [cases.batch()],
                lookahead,
                estimator=Estimator("forward"),
            )


def test_auto_falls_back_on_a_non_finite_tangent():
    """A forward rule that is infinite beside a backward pass that is not."""

    class Poison(torch.autograd.Function):
        @staticmethod
        def forward(x):
            return x.clone()

        @staticmethod
        def setup_context(ctx, inputs, output):
            pass

        @staticmethod
        def backward(ctx, g):
            return g.clone()

        @staticmethod
        def jvp(ctx, t):
            return t * torch.inf

    class Poisoned(nn.Module):
        def forward(self, x):
            return Poison.apply(x)

    torch.manual_seed(0)
    network = MultiTaskNetwork(3, cases.PSI, Layer(Poisoned())).double()
    generator = LabelGenerator(3, cases.PSI, cases.SmoothTrunk()).double()
    estimator = Estimator("auto", warn=lambda text: None)
    lookahead = cases.lookahead(cases.OPTIMIZERS["sgd"](network.parameters()), network)
    gradient = hypergradient(
        cases.problem(network, generator, entropy=0.0), [cases.batch()], lookahead, estimator=estimator
    ).gradient
    assert estimator.active == "double_backward"
    assert "not finite" in estimator.reason
    assert all(g.isfinite().all() for g in gradient.values())


def test_auto_stays_when_training_has_diverged():
    """An infinite inner gradient is no fault of forward mode."""
    network, generator, _ = cases.networks("smooth")
    with torch.no_grad():
        network.primary_head[0].weight.fill_(torch.inf)
    estimator = Estimator("auto")
    lookahead = cases.lookahead(cases.OPTIMIZERS["sgd"](network.parameters()), network)
    hypergradient(cases.problem(network, generator, entropy=0.0), [cases.batch()], lookahead, estimator=estimator)
    assert estimator.active == "forward"


def test_other_errors_are_raised():
    network, generator, _ = cases.networks("smooth")
    calls = []

    def breaks(*_):
        calls.append(1)
        if len(calls) == 3:
            raise RuntimeError("out of memory")

    network.trunk.register_forward_pre_hook(breaks)
    lookahead = cases.lookahead(cases.OPTIMIZERS["sgd"](network.parameters()), network)
    with pytest.raises(RuntimeError, match="out of memory"):
        hypergradient(cases.problem(network, generator, entropy=0.0), [cases.batch()], lookahead)


def test_unknown_method():
    with pytest.raises(ValueError, match=r"'magic'.*'forward'"):
        Estimator("magic")


def test_widths_must_agree():
    network, _, _ = cases.networks("smooth")
    generator = LabelGenerator(3, (2, 2, 2), cases.SmoothTrunk()).double()
    wide = LabelGenerator(3, (3, 3, 2), cases.SmoothTrunk()).double()
    lookahead = cases.lookahead(cases.OPTIMIZERS["sgd"](network.parameters()), network)
    hypergradient(cases.problem(network, generator, entropy=0.0), [cases.batch()], lookahead)  # Σψ agrees: 6 and 6
    with pytest.raises(ValueError, match=r"\(6, 6\).*\(6, 8\)"):
        hypergradient(cases.problem(network, wide), [cases.batch()], lookahead)


def test_network_must_return_a_pair():
    network, generator, _ = cases.networks("smooth")
    lookahead = cases.lookahead(cases.OPTIMIZERS["sgd"](network.parameters()), network)
    with pytest.raises(ValueError, match="MultiTaskNetwork"):
        hypergradient(cases.problem(network.classifier(), generator), [cases.batch()], lookahead)
