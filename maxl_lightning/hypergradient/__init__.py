"""The exact hypergradient of MAXL, in plain torch.

The gradient of the primary loss after one look-ahead step with respect to the label generator, by one
forward-mode pass instead of a second derivative. Usable without Lightning.
"""

from maxl_lightning.hypergradient.clipping import Clipping, gradient_norm, make_clipping
from maxl_lightning.hypergradient.estimator import Estimator, HypergradientMethod, MetaGradient, hypergradient
from maxl_lightning.hypergradient.lookahead import Lookahead, LookaheadKind, clipped, make_lookahead
from maxl_lightning.hypergradient.phases import InnerPass, inner_phase, mean_gradient
from maxl_lightning.hypergradient.problem import MetaProblem
from maxl_lightning.hypergradient.replay import trainable_parameters
from maxl_lightning.hypergradient.types import MicroBatch, Reduce, Tensors, single_process

__all__ = [
    "Clipping",
    "Estimator",
    "HypergradientMethod",
    "InnerPass",
    "Lookahead",
    "LookaheadKind",
    "MetaGradient",
    "MetaProblem",
    "MicroBatch",
    "Reduce",
    "Tensors",
    "clipped",
    "gradient_norm",
    "hypergradient",
    "inner_phase",
    "make_clipping",
    "make_lookahead",
    "mean_gradient",
    "single_process",
    "trainable_parameters",
]
