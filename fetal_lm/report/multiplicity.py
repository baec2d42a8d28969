"""Many tests at once: p values that stay honest when a whole family of them is read."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def holm(p: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """Holm's step-down adjustment of the p values of one family, which bounds the chance of any false finding.

    The k-th smallest of m values is multiplied by m - k + 1, and no adjusted value is smaller than one before it. The
    tests may depend on each other in any way, as those of pairs that share a model do.
    `scipy.stats.false_discovery_control` bounds another thing: the share of false ones among the findings.

    Source: Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6 (1979).

    Args:
        p: of the tests of the family; NaN is no test: it stays NaN and does not count.

    Example:
        >>> holm(np.array([0.01, 0.04, 0.03, np.nan])).round(6).tolist()
        [0.03, 0.06, 0.06, nan]
    """
    adjusted = np.full(len(p), np.nan)
    known = np.flatnonzero(~np.isnan(p))
    rising = known[np.argsort(p[known], kind="stable")]
    stepped = p[rising] * np.arange(len(rising), 0, -1)
    adjusted[rising] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return adjusted
