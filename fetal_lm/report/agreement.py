"""How a measured length agrees with the true one: Bland and Altman's limits and the intraclass correlation."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import stats

from fetal_lm.report.statistics import CONFIDENCE, Interval, interval_of_mean

LIMIT: Final = 1.96
"""Standard deviations between the bias and a limit: 95 % of normally distributed differences lie between the two."""

RESAMPLES: Final = 999

_BATCH: Final = 200
"""Draws in memory at the same time."""


class Agreement(NamedTuple):
    """Measured against true lengths, in their unit; NaN where too few are known.

    Attributes:
        pairs: of a true and a measured length.
        charged: those of them without a measurement, which count as measured 0.
        bias: mean of measured minus true.
        lower, upper: limits of agreement, the bias and `LIMIT` standard deviations of the differences to either side.
        icc: ICC(2,1), from 1 (the same lengths) through 0 (unrelated).
        bias_interval, lower_interval, upper_interval, icc_interval: 95 % bootstrap intervals by examination.
    """

    pairs: int
    charged: int
    bias: float
    lower: float
    upper: float
    icc: float
    bias_interval: Interval
    lower_interval: Interval
    upper_interval: Interval
    icc_interval: Interval


def agreement(
    true: Float[np.ndarray, " N"],
    measured: Float[np.ndarray, " N"],
    examinations: Sequence[str],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Agreement:
    """Agreement of N measured lengths with the true ones; no outlier is left out.

    Sources: Bland and Altman, "Measuring agreement in method comparison studies", Stat. Methods Med. Res. 8 (1999)
    135-160; ICC(2,1), absolute agreement of single measurements: Shrout and Fleiss, Psychol. Bull. 86 (1979) 420-428.
    Their intervals take independent pairs; several seeds on one image and frames of one examination are not, so that
    whole examinations are drawn (see `statistics.interval_of_mean`, which gives the bias its interval).

    Args:
        true: NaN where the spacing is unknown; such pairs are not counted.
        measured: NaN where nothing was measured: charged its whole length, as everywhere (`report.charges`).
        examinations: whose head each is.
        seed: of the draws.
        resamples: how many draws.

    Example:
        >>> found = agreement(np.array([10.0, 20.0, 30.0]), np.array([11.0, 21.0, 31.0]), ["a", "b", "c"])
        >>> found.bias, found.lower, found.upper, round(found.icc, 4)
        (1.0, 1.0, 1.0, 0.995)
    """
    known = ~np.isnan(true)
    x = true[known]
    charged = np.isnan(measured[known])
    y = np.where(charged, 0.0, measured[known])
    names = np.asarray(examinations, dtype=object)[known]
    if len(x) < 2:
        unknown = Interval(np.nan, np.nan)
        return Agreement(len(x), int(charged.sum()), *(np.nan,) * 4, *(unknown,) * 4)
    codes, _ = pd.factorize(names)
    bias, lower, upper, icc = map(float, _figures(*_sums(x, y, codes), axis=-1))
    bias_interval = interval_of_mean(y - x, names.tolist(), seed=seed, resamples=resamples)
    others = _intervals(_sums(x, y, codes), seed, resamples)
    return Agreement(len(x), int(charged.sum()), bias, lower, upper, icc, bias_interval, *others)


def _sums(x: np.ndarray, y: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, ...]:
    """For each examination the sums of 1, x, d, xx, dd and xd, where d = y - x; everything below follows from them."""
    # About the middle, so that squares of long lengths do not eat the digits of short differences.
    centred, difference = x - x.mean(), y - x
    parts = (np.ones_like(x), centred, difference, centred**2, difference**2, centred * difference)
    return tuple(np.bincount(codes, weights=part) for part in parts)


def _figures(*sums: np.ndarray, axis: int) -> np.ndarray:
    """Bias, limits and ICC(2,1), `[4, ...]`.

    With two raters, Shrout and Fleiss's mean squares are those of the sum and of the difference, and the coefficient
    becomes 2 cov(x, y) / (var x + var y + bias^2 - var d / n).
    """
    n, x, d, xx, dd, xd = (part.sum(axis=axis) for part in sums)
    with np.errstate(divide="ignore", invalid="ignore"):
        bias = d / n
        variance_d = np.maximum(dd - n * bias**2, 0.0) / (n - 1)
        variance_x = np.maximum(xx - x**2 / n, 0.0) / (n - 1)
        covariance_xd = (xd - x * bias) / (n - 1)
        variance_y = variance_x + 2 * covariance_xd + variance_d
        icc = 2 * (variance_x + covariance_xd) / (variance_x + variance_y + bias**2 - variance_d / n)
    reach = LIMIT * np.sqrt(variance_d)
    return np.stack([bias, bias - reach, bias + reach, icc])


def _intervals(sums: tuple[np.ndarray, ...], seed: int, resamples: int) -> tuple[Interval, Interval, Interval]:
    if len(sums[0]) < 2:
        unknown = Interval(np.nan, np.nan)
        return unknown, unknown, unknown
    with warnings.catch_warnings():
        # Differences that are all alike leave BCa undefined; the draws themselves still say something, see below.
        warnings.simplefilter("ignore")
        result = stats.bootstrap(
            sums,
            lambda *parts, axis: _figures(*parts, axis=axis)[1:],
            paired=True,
            vectorized=True,
            n_resamples=resamples,
            # The jackknife of BCa leaves each examination out in turn, otherwise all of them at the same time.
            batch=_BATCH,
            confidence_level=CONFIDENCE,
            method="BCa",
            rng=np.random.default_rng(seed),
        )
    tail = 50 * (1 - CONFIDENCE)
    found = []
    for low, high, draws in zip(*result.confidence_interval, result.bootstrap_distribution, strict=True):
        if np.isnan(low) or np.isnan(high):
            low, high = np.percentile(draws, [tail, 100 - tail])
        found.append(Interval(float(low), float(high)))
    return found[0], found[1], found[2]
