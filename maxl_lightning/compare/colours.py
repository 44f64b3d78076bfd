"""A colour for each method, the same in every figure and every comparison."""

from collections.abc import Sequence

__all__ = ["colours"]

PALETTE = {
    "single": "#000000",
    "uniform": "#0072B2",
    "random": "#56B4E9",
    "kmeans": "#009E73",
    "human": "#CC79A7",
    "frozen": "#E69F00",
    "maxl": "#D55E00",
    "no_lookahead": "#999999",
}
"""Okabe and Ito's colours, which colour-blind readers can tell apart (https://jfly.uni-koeln.de/color/)."""

OTHERS = ("#7B3F00", "#5D3A9B", "#1A7F7F", "#B8A000", "#8C0027")
"""For methods of other names, in their order."""


def colours(methods: Sequence[str]) -> dict[str, str]:
    """Return a colour for each method.

    >>> colours(["maxl", "mine"])["maxl"] == colours(["single", "maxl"])["maxl"]
    True
    """
    others = [method for method in methods if method not in PALETTE]
    return PALETTE | {method: OTHERS[i % len(OTHERS)] for i, method in enumerate(others)}
