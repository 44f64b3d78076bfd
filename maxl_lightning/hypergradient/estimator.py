"""The hypergradient: phases 2 and 3 after the inner pass, by the chosen or the best working estimator."""

import warnings
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, TypeAlias, get_args

import torch
from torch import Tensor

from maxl_lightning.hypergradient.cotangents import COTANGENTS, Method, NonFiniteTangentError
from maxl_lightning.hypergradient.lookahead import Lookahead
from maxl_lightning.hypergradient.phases import InnerPass, generator_phase, inner_phase, outer_phase
from maxl_lightning.hypergradient.problem import Labels, MetaProblem
from maxl_lightning.hypergradient.replay import trainable, unchanged
from maxl_lightning.hypergradient.types import MicroBatch, Reduce, Tensors, single_process

HypergradientMethod: TypeAlias = Literal["auto", "forward", "double_backward", "finite_difference"]

FALLBACK: dict[Method, Method] = {"forward": "double_backward", "double_backward": "finite_difference"}

UNSUPPORTED = (
    "forward AD",
    "forward mode AD",
    "differentiate twice",
    "is not implemented",
    "not differentiable twice",
)
"""What torch says of a layer without a forward rule or without a second derivative."""


class MetaGradient(NamedTuple):
    """The gradient for θ2 and the loss it descends.

    Attributes:
        gradient: ∇_θ2 [L_pri(θ1⁺) + λH] by parameter name.
        loss: L_pri(θ1⁺) + λH.
    """

    gradient: Tensors
    loss: Tensor


class Estimator:
    """Computes hypergradients; ``auto`` starts in forward mode and falls back for good where that has no rule.

    Args:
        method: ``"auto"``, ``"forward"``, ``"double_backward"`` or ``"finite_difference"``.
        warn: told once why a fall-back was taken.

    Attributes:
        active: the estimator now in use.
        reason: why ``auto`` left forward mode, if it did.

    Raises:
        ValueError: if the method is unknown.
    """

    def __init__(self, method: HypergradientMethod = "auto", warn: Callable[[str], object] = warnings.warn) -> None:
        if method not in get_args(HypergradientMethod):
            options = ", ".join(repr(option) for option in get_args(HypergradientMethod))
            raise ValueError(f"hypergradient_method is {method!r}: use one of {options}.")
        self.automatic = method == "auto"
        self.active: Method = "forward" if method == "auto" else method
        self.reason: str | None = None
        self.warn = warn

    def __call__(
        self,
        problem: MetaProblem,
        inner: InnerPass,
        lookahead: Lookahead,
        outer: Sequence[MicroBatch] | None = None,
        reduce: Reduce = single_process,
    ) -> MetaGradient:
        """Return ∇_θ2 [L_pri(θ1⁺) + λH].

        Args:
            problem: what is optimised.
            inner: phase 1.
            lookahead: θ1's step.
            outer: micro-batches of the outer loss; those of the inner pass if not given.
            reduce: the average over processes.
        """
        batches = [record.batch for record in inner.records] if outer is None else outer
        ahead, pullback = lookahead(trainable(problem.network), inner.gradient)
        v, outer_loss = outer_phase(problem, batches, ahead, reduce)
        cotangents = self._cotangents(problem, inner, pullback(v), reduce)
        loss = outer_loss + problem.label_penalty(inner.marginal)
        return MetaGradient(generator_phase(problem, inner, cotangents, reduce), loss.detach())

    def _cotangents(self, problem: MetaProblem, inner: InnerPass, tangent: Tensors, reduce: Reduce) -> list[Labels]:
        while True:
            failure: Exception | None = None
            cotangents: list[Labels] = []
            try:
                cotangents = [COTANGENTS[self.active](problem, r, tangent, inner.count) for r in inner.records]
            except (NotImplementedError, RuntimeError, NonFiniteTangentError) as error:
                failure = error
                if not (self.automatic and self.active in FALLBACK and is_unsupported(error)):
                    raise
            if not self._should_fall_back(failure, inner, reduce):
                return cotangents

    def _should_fall_back(self, failure: Exception | None, inner: InnerPass, reduce: Reduce) -> bool:
        """Agree over all processes whether one of them failed; then move on to the next estimator."""
        if not self.automatic or self.active not in FALLBACK:
            return False
        failed = inner.marginal.new_tensor(float(failure is not None), dtype=torch.float32)
        (share,) = reduce([failed], inner.count)
        if not share > 0:
            return False
        self.reason = f"{self.active} failed: {failure or 'on another process'}"
        self.active = FALLBACK[self.active]
        self.warn(f"hypergradient: falling back to {self.active} for the rest of the run; {self.reason}")
        return True


def is_unsupported(error: Exception) -> bool:
    """Say whether an error means that a layer lacks the derivative an estimator needs."""
    return isinstance(error, NonFiniteTangentError) or any(text in str(error) for text in UNSUPPORTED)


def hypergradient(
    problem: MetaProblem,
    batches: Sequence[MicroBatch],
    lookahead: Lookahead,
    *,
    estimator: Estimator | None = None,
    outer: Sequence[MicroBatch] | None = None,
    reduce: Reduce = single_process,
) -> MetaGradient:
    """Return ∇_θ2 [L_pri(θ1⁺) + λH] in the networks' current modes, without leaving a trace.

    Parameters, ``.grad``, buffers, the optimiser and the random-number state stay untouched.

    Args:
        problem: what is optimised.
        batches: micro-batches that together are one batch.
        lookahead: θ1's step, from ``make_lookahead``.
        estimator: ``Estimator("auto")`` if not given.
        outer: micro-batches of the outer loss; ``batches`` if not given.
        reduce: the average over processes.
    """
    estimator = estimator or Estimator()
    device = batches[0].x.device
    # out of a validation step's inference mode too, whose tensors autograd refuses
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        unchanged(problem.network, problem.label_generator, device=device),
    ):
        batches, outer = [_ordinary(b) for b in batches], outer and [_ordinary(b) for b in outer]
        inner = inner_phase(problem, batches, reduce, meta=True)
        return estimator(problem, inner, lookahead, outer, reduce)


def _ordinary(batch: MicroBatch) -> MicroBatch:
    return batch._replace(x=batch.x.clone(), y=batch.y.clone()) if batch.x.is_inference() else batch
