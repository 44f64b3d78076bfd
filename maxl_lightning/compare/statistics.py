"""Means over seeds, and differences between methods paired by seed, with their 95 % intervals."""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["statistics", "summarise"]


def statistics(values: Iterable[float]) -> dict[str, float]:
    """Return the number of values, their mean and sample standard deviation, and the mean's 95 % t-interval.

    One value has no deviation and no interval, and none has no mean either: these are NaN.
    """
    import numpy as np
    from scipy.special import stdtrit  # the inverse of Student's distribution; scipy.stats takes a second to import

    array = np.asarray(list(values), dtype=float)
    n = len(array)
    if n < 2:
        return {"n": n, "mean": float(array[0]) if n else math.nan, "std": math.nan, "low": math.nan, "high": math.nan}
    mean, std = float(array.mean()), float(array.std(ddof=1))
    half = float(stdtrit(n - 1, 0.975)) * std / math.sqrt(n)
    return {"n": n, "mean": mean, "std": std, "low": mean - half, "high": mean + half}


def summarise(runs: "pd.DataFrame", methods: Sequence[str], references: Sequence[str]) -> "pd.DataFrame":
    """Return a row for each method, and one for its paired difference to each reference.

    Args:
        runs: a row for each run, with ``method``, ``seed`` and ``test_accuracy``.
        methods: in the order of the rows.
        references: methods that all others are compared with.
    """
    import pandas as pd

    accuracy = runs.pivot(index="seed", columns="method", values="test_accuracy").reindex(columns=list(methods))
    rows: list[dict[str, Any]] = [
        {"kind": "method", "method": method, **statistics(accuracy[method].dropna())} for method in methods
    ]
    for reference in references:
        for method in methods:
            # a pair of references is compared once
            if method == reference or (method in references and references.index(method) < references.index(reference)):
                continue
            paired = (accuracy[method] - accuracy[reference]).dropna()
            rows.append({"kind": "difference", "method": method, "reference": reference, **statistics(paired)})
    return pd.DataFrame(rows, columns=["kind", "method", "reference", "n", "mean", "std", "low", "high"])
